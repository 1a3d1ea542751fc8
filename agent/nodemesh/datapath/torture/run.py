"""Puts the torture together, and judges by it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, NamedTuple

from ...reasons import Reason
from .. import bpf, counters, namespaces
from ..attach import AttachError, attach, detach, steer
from ..heartbeat import Heartbeat
from ..hooks import QUEUE_DEPTH
from ..maps import FLOW, EntryMode, Hook, Maps, PodFlag, ServiceEntry, ServiceKey, pack_address
from ..pins import Pins
from ..selftest import remove_cgroup
from .cases import BLOCKING, NONBLOCKING
from .client import SPEAKS_FIRST

#: What the app dials: TEST-NET-1 and the documentation's network (RFC 5737, RFC 3849); in a view of its own.
DIALLED = (("192.0.2.1", 7), ("2001:db8::1", 7))
PORTS = (7, SPEAKS_FIRST)
LOOPBACKS = ("127.0.0.1", "::1")
VIEW = 2**32 - 2

#: Seconds for the app to end.
_TIMEOUT = 60.0

#: Seconds for one case. It has bounds of its own, which are shorter; they do not hold where the kernel lets no call
#: return.
LONGEST = 300.0

#: Seconds between two beats of a heart of our own: a case may take longer than one counts as fresh.
_BEAT = 0.5

#: There and back, in bytes, for the gain: what sockmap is for. Connections of small messages are left to TCP.
_MEASURED = 65536
_ROUNDS = 9
_COUNT = 150

#: A lesser gain is not worth the hazards.
LEAST_GAIN = 1.05


class TortureVerdict(NamedTuple):
    """`wrong` is a sentence, empty where all went well; `gain` how many times as many round trips a core makes as with
    TCP."""

    wrong: str
    gain: float
    cases: int
    seconds: float

    @property
    def worthwhile(self) -> bool:
        return not self.wrong and self.gain >= LEAST_GAIN

    def __str__(self) -> str:
        if self.wrong:
            return self.wrong
        text = f"{self.cases} cases passed in {self.seconds:.1f} s, {self.gain:.2f} times as many round trips per core"
        return text if self.worthwhile else f"{text}: not worth it"


def torture(
    pins: Pins,
    cgroup_root: Path,
    beat: bool = False,
    scale: float = 1.0,
    abandoned: Callable[[], bool] = lambda: False,
) -> TortureVerdict:
    """Run every case `scale` times as often as at a start. Needs the programs for sockmap (loader.load_sockmap) and a
    fresh heartbeat: the workers', or with `beat` (only where none run) one made here. `abandoned` is
    asked before each case whether to give up. Leaves nothing behind."""
    name = f"torture-{os.getpid()}"
    cgroup = cgroup_root / f"nodemesh-{name}"
    began = time.monotonic()
    wrong, gain = "", 0.0
    try:
        cgroup.mkdir()
        with Maps(pins) as maps, _Scene(pins, maps, name, cgroup, beat) as scene:
            wrong = scene.run(scale, abandoned)
            gain = scene.measure() if not wrong else 0.0
    except (OSError, AttachError, subprocess.SubprocessError, ValueError) as error:
        wrong = str(error) or type(error).__name__
    finally:
        remove_cgroup(cgroup)
    return TortureVerdict(wrong, gain, len(NONBLOCKING) + len(BLOCKING), time.monotonic() - began)


class _Scene:
    """The app, the proxy and what the maps need to know of them."""

    def __init__(self, pins: Pins, maps: Maps, name: str, cgroup: Path, beat: bool) -> None:
        self._pins = pins
        self._maps = maps
        self._name = name
        self._cgroup = cgroup
        self._beat = Heartbeat(maps["heartbeats"].fd, 0) if beat else None
        self._undo = ExitStack()
        self._addresses: list[tuple[str, int]] = []

    def __enter__(self) -> _Scene:
        try:
            self._build()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _build(self) -> None:
        self._app = self._start("app", [str(self._cgroup)])
        netns = namespaces.netns_fd(self._app.pid)
        self._undo.callback(os.close, netns)
        listeners = []
        for number, address in enumerate(LOOPBACKS):
            try:
                listener = namespaces.open_listener(netns, address, 0)
            except OSError:
                if not number:
                    raise
                break  # a kernel without IPv6
            listeners.append(self._undo.enter_context(listener))
            self._addresses.append(DIALLED[number])
        self._straight = listeners[0].getsockname()  # to the proxy without us
        self._cookie = cookie = namespaces.netns_cookie(listeners[0])
        self._undo.callback(self._forget_pairs)
        for listener in listeners:
            self._maps.set_listener(cookie, listener)
        self._maps.enrol(cookie, VIEW, PodFlag.SOCKMAP)
        self._undo.callback(self._maps.withdraw, cookie)
        for address, port in ((address, port) for address, _ in self._addresses for port in PORTS):
            key = ServiceKey(VIEW, pack_address(address), port).pack()
            self._maps["services"].update(key, ServiceEntry(EntryMode.PROXY).pack())
            self._undo.callback(self._maps["services"].delete, key)
        depth = bpf.get(self._pins.programs / QUEUE_DEPTH.name)
        self._undo.callback(os.close, depth)
        fds = [self._maps["flows"].fd, self._maps["sockets"].fd, depth, *(one.fileno() for one in listeners)]
        self._proxy = self._start("proxy", map(str, fds), fds)
        self._undo.callback(detach, self._pins, self._name)
        steer(self._pins, self._name, netns, cookie)
        attach(self._pins, self._name, self._cgroup, sockmap=True)

    def _start(self, part: str, arguments: Iterable[str], fds: Sequence[int] = ()) -> subprocess.Popen[str]:
        """One of the two processes, ready."""
        command = [sys.executable, "-S", "-m", f"{__package__}.{part}", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, pass_fds=fds, env=environment
        )
        self._undo.callback(process.communicate, None, _TIMEOUT)
        self._undo.callback(process.kill)
        assert process.stdout is not None
        if self._line(process.stdout) != "ready\n":
            raise OSError(f"the test's process ended with status {process.wait(_TIMEOUT)}")
        return process

    def _forget_pairs(self) -> None:
        """Of connections whose end came when nobody looked any more."""
        for key in list(self._maps["pairs"].keys()):
            if FLOW.unpack(key)[0] == self._cookie:
                self._maps["pairs"].delete(key)

    def _do(self, job: dict[str, Any]) -> Any:
        self._keep_beating()
        assert self._app.stdin is not None and self._app.stdout is not None
        self._app.stdin.write(json.dumps(job) + "\n")
        self._app.stdin.flush()
        line = self._line(self._app.stdout)
        if not line:
            raise OSError(f"the app ended with status {self._app.wait(_TIMEOUT)}")
        return json.loads(line)

    def _line(self, output: IO[str]) -> str:
        """The next that a process says; empty where it has ended."""
        poll, deadline = select.poll(), time.monotonic() + LONGEST
        poll.register(output, select.POLLIN)
        while not poll.poll(_BEAT * 1000):
            self._keep_beating()
            if time.monotonic() > deadline:
                raise OSError(f"the test's process has said nothing for {LONGEST:g} s")
        return output.readline()

    def _keep_beating(self) -> None:
        if self._beat is not None:
            self._beat.beat()

    def run(self, scale: float, abandoned: Callable[[], bool]) -> str:
        """The first thing that went wrong, or nothing."""
        for blocking, cases in ((False, NONBLOCKING), (True, BLOCKING)):
            before = self._redirected()
            for case in cases:
                job = {"do": case.name, "addresses": self._addresses, "blocking": blocking, "scale": scale}
                wrong = "given up" if abandoned() else self._do(job)
                if wrong:
                    return f"{case.name}, {'blocking' if blocking else 'non-blocking'} app: {wrong}"
            redirected = self._redirected() - before
            if blocking and redirected:
                return f"{redirected} messages of a blocking app skipped TCP"
            if not blocking and not redirected:
                return "no message skipped TCP"
        return ""

    def _redirected(self) -> int:
        return counters.read(self._maps).get((Hook.SK_MSG, Reason.SOCKMAP_REDIRECTED), 0)

    def measure(self) -> float:
        """Beside a connection straight to the listener, which is never joined; all on one core, so that it is the work
        which is compared, not where the scheduler happens to put who."""
        core = {min(os.sched_getaffinity(0))}
        for process in (self._app, self._proxy):
            os.sched_setaffinity(process.pid, core)
        pair = [self._addresses[0], self._straight]
        job = {"do": "measure", "addresses": pair, "blocking": False, "size": _MEASURED}
        return float(self._do({**job, "rounds": _ROUNDS, "count": _COUNT}))
