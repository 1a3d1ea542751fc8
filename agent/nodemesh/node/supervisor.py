"""The first process of `nodemesh run`: keeps listening sockets, starts control and workers, and starts them again.

It is small on purpose: it reads no configuration, speaks no HTTP and touches no kernel map, so that there is little
in it that can fail. It ends when told to, or when the very first start of control says that starting is hopeless."""

from __future__ import annotations

import os
import platform
import select
import shutil
import signal
import socket
import time
from enum import Enum, auto
from pathlib import Path
from typing import Final

import msgspec

from .. import __version__
from . import channel, preflight, rundir, upgrade
from .bound import bind_all
from .channel import Channel, Closed
from .child import Child
from .descriptors import raise_limit
from .logs import Log, setup
from .options import RunOptions
from .pulse import LOOK
from .store import Children, Drop, FdStore, Put, Ready, Started, ToSupervisor

log = Log("supervisor")

#: Control's exit status when the start is hopeless: it has said why, and starting it again would not help.
HOPELESS = 3

#: Seconds for control to take its hooks out of the kernel.
CONTROL_GRACE = 5.0


class AgentState(Enum):
    """Of the agent as a whole; `NEXT` says what may follow."""

    STARTING = auto()
    RUNNING = auto()
    HANDING_OVER = auto()
    REPLACED = auto()
    STOPPING = auto()


#: All changes go through `Supervisor._enter`.
NEXT: Final[dict[AgentState, frozenset[AgentState]]] = {
    AgentState.STARTING: frozenset({AgentState.RUNNING, AgentState.STOPPING}),  # stopping where the start is hopeless
    AgentState.RUNNING: frozenset({AgentState.HANDING_OVER, AgentState.STOPPING}),
    AgentState.HANDING_OVER: frozenset(
        {AgentState.REPLACED, AgentState.RUNNING, AgentState.STOPPING}
    ),  # running: the successor died
    AgentState.REPLACED: frozenset({AgentState.STOPPING}),  # ended at the same moment
    AgentState.STOPPING: frozenset(),
}


class Supervisor:
    """Owns the store, the children and the run folder."""

    def __init__(self, options: RunOptions, store: FdStore, predecessor: upgrade.Predecessor | None = None) -> None:
        self.options = options
        self.state = AgentState.STARTING
        self.status = 0
        self.store = store
        arguments = [msgspec.json.encode(options).decode()]
        self.control = Child("control", "nodemesh.node.control_process", arguments, options.control_limit)
        self.workers = [
            Child(f"worker-{number}", "nodemesh.node.worker", [*arguments, str(number)], options.worker_limit)
            for number in range(options.workers)
        ]
        self._channel: Channel[ToSupervisor] | None = None
        self._listener = channel.listen(options.control_socket)
        self._predecessor = predecessor
        self._successor: upgrade.Successor | None = None
        self._door: socket.socket | None = None  # where a successor knocks
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._signals: list[int] = []
        self._looked = 0.0  # when the children's pulses were felt
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)
        if predecessor is None:
            self._open_door()

    # the loop

    def run(self) -> int:
        """Until told to stop; the exit status."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        try:
            while self.state not in (AgentState.STOPPING, AgentState.REPLACED):
                self._start_due()
                self._wait(self._timeout())
                self._take_signals()
                self._reap()
                self._replace_hung()
        finally:
            self._stop()
        return self.status

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _take_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                if self.state is not AgentState.STOPPING:
                    self._enter(AgentState.STOPPING)
            elif number == signal.SIGHUP:  # log rotation: the workers open the access log again
                for worker in self.workers:
                    worker.signal(signal.SIGHUP)

    def _timeout(self) -> float:
        children = self.workers if self._successor is not None else self._children()
        due = [child.due for child in children if child.due is not None]
        return max(0.0, min([*due, self._looked + LOOK]) - time.monotonic())

    def _wait(self, seconds: float) -> None:
        for fd, _events in self._poll.poll(seconds * 1000):
            if fd == self._wake:
                os.read(self._wake, 4096)
            elif self._channel is not None and fd == self._channel.fileno():
                self._hear()
            elif self._door is not None and fd == self._door.fileno():
                self._hand_over()
            elif self._successor is not None and fd == self._successor.fileno():
                self._hear_successor()

    # children

    def _children(self) -> list[Child]:
        return [self.control, *self.workers]

    def _start_due(self) -> None:
        now = time.monotonic()
        started = False
        for child in self._children():
            if child.due is None or child.due > now or (child is self.control and self._successor is not None):
                continue
            if child is self.control:
                self._start_control(now)
            else:
                child.start(now)
            started = True
        if started:
            self._tell_children()

    def _start_control(self, now: float) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            fds = (theirs.fileno(), self._listener.fileno())
            first = ["first"] if self.state is AgentState.STARTING else []
            self.control.start(now, fds, [*(str(fd) for fd in fds), *first])
        self._channel = Channel(ours, ToSupervisor)
        self._poll.register(ours, select.POLLIN)
        try:
            self.store.give(self._channel)
        except Closed:
            self._forget_channel()

    def _tell_children(self) -> None:
        if self._channel is None:
            return
        children = self._children()
        try:
            self._channel.send(
                Children(
                    pids={child.name: child.pid for child in children},
                    restarts={child.name: child.restarts for child in children},
                )
            )
        except Closed:
            self._forget_channel()

    def _reap(self) -> None:
        now = time.monotonic()
        for child in self._children():
            status = child.reap(now)
            if status is None:
                continue
            if child is self.control:
                self._forget_channel()
                if self.state is AgentState.STARTING and status == HOPELESS:
                    self._enter(AgentState.STOPPING)
                    self.status = 1
                    return
                if self.state is AgentState.HANDING_OVER:
                    continue
            how = signal.Signals(-status).name if status < 0 else status
            delay = max(0.0, (child.due or now) - now)
            log.warning("process died, starting it again", process=child.name, status=how, delay=f"{delay:.1f}s")
        self._adopt_orphans()

    def _replace_hung(self) -> None:
        """End who does not answer any more; it is started again as if it had died by itself."""
        now = time.monotonic()
        if now < self._looked + LOOK:
            return
        self._looked = now
        for child in self._children():
            why = child.hung(now)
            if why:
                log.error("process hangs, replacing it", process=child.name, pid=child.pid, why=why)
                child.signal(signal.SIGKILL)

    def _adopt_orphans(self) -> None:
        """As a container's first process: end the zombies that nobody else waits for."""
        if os.getpid() != 1:
            return
        own = {child.pid for child in self._children()}
        while True:
            try:
                found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if found is None or found.si_pid in own:
                return
            os.waitpid(found.si_pid, os.WNOHANG)

    # the store

    def _hear(self) -> None:
        assert self._channel is not None
        try:
            word, fds = self._channel.receive()
        except (Closed, msgspec.DecodeError) as error:
            if not isinstance(error, Closed):
                log.error("control speaks another language", error=error)
            self._forget_channel()
            return
        if isinstance(word, Put):
            self.store.put(word.name, fds.pop(0), word.note)
        elif isinstance(word, Drop):
            self.store.drop(word.name)
        elif isinstance(word, Started) and self.state is AgentState.STARTING:
            self._enter(AgentState.RUNNING)
        elif isinstance(word, Ready) and self._predecessor is not None:
            self._predecessor.relieve()
            self._predecessor = None
            self._open_door()
        for fd in fds:
            os.close(fd)

    def _forget_channel(self) -> None:
        if self._channel is not None:
            self._poll.unregister(self._channel.fileno())
            self._channel.close()
            self._channel = None

    # upgrades

    def _open_door(self) -> None:
        self._door = channel.listen(upgrade.path(self.options.run_dir))
        self._poll.register(self._door, select.POLLIN)

    def _hand_over(self) -> None:
        """A successor knocks: give it everything. Our control process has to end first, without cleaning up."""
        assert self._door is not None
        sock, _ = self._door.accept()
        if self.state is not AgentState.RUNNING:
            sock.close()
            return
        log.info("handing over to a successor")
        self._enter(AgentState.HANDING_OVER)
        self.control.signal(signal.SIGKILL)
        try:
            self._successor = upgrade.Successor(sock, self.store)
        except Closed:
            self._take_back()
            return
        self._poll.register(self._successor.fileno(), select.POLLIN)

    def _hear_successor(self) -> None:
        assert self._successor is not None
        try:
            ready = self._successor.ready()
        except (Closed, msgspec.DecodeError):
            ready = False
        self._poll.unregister(self._successor.fileno())
        self._successor.close()
        if ready:
            self._enter(AgentState.REPLACED)
        else:
            self._take_back()

    def _take_back(self) -> None:
        log.warning("the successor died, going on")
        self._successor = None
        self._enter(AgentState.RUNNING)

    def _enter(self, state: AgentState) -> None:
        assert state in NEXT[self.state], f"the agent cannot become {state} while it is {self.state}"
        self.state = state

    # the end

    def _stop(self) -> None:
        """Control first: nothing new is redirected any more. Then the workers finish what they have. A second signal
        ends the patience."""
        replaced = self.state is AgentState.REPLACED
        self._signals.clear()
        log.info("draining", workers=len(self.workers), grace=f"{self.options.grace:g}s", replaced=replaced)
        self.control.signal(signal.SIGKILL if replaced else signal.SIGTERM)
        self._await([self.control], CONTROL_GRACE)
        self.store.clear(keep=upgrade.LOCK)
        for worker in self.workers:
            worker.signal(upgrade.REPLACED if replaced else signal.SIGTERM)
        self._await(self.workers, self.options.grace + 1.0)
        self._listener.close()
        for path in (self.options.control_socket, self.options.operator_socket):
            Path(path).unlink(missing_ok=True)
        log.info("replaced" if replaced else "stopped")
        if replaced and self.options.kubernetes:
            self._stay()

    def _stay(self) -> None:
        """The successor serves. A DaemonSet's pod that ended by itself now would be started again, and take over from
        the successor in turn: whoever rolls the DaemonSet ends it."""
        log.info("waiting to be told to stop")
        while not any(number in (signal.SIGTERM, signal.SIGINT) for number in self._signals):
            self._wait(LOOK * 60)
            self._adopt_orphans()

    def _await(self, children: list[Child], seconds: float) -> None:
        end = time.monotonic() + seconds
        while any(child.pid for child in children):
            now = time.monotonic()
            if now >= end or any(number in (signal.SIGTERM, signal.SIGINT) for number in self._signals):
                for child in children:
                    child.signal(signal.SIGKILL)
            self._wait(max(0.0, min(end - now, 0.5)))
            for child in children:
                child.reap(time.monotonic())
        self._forget_channel_if_dead()

    def _forget_channel_if_dead(self) -> None:
        if not self.control.pid:
            self._forget_channel()


def run(options: RunOptions) -> int:
    """Run a node until told to stop; the exit status. Raises StartError where nothing has been started."""
    setup("supervisor", json=options.log_json)
    options = preflight.resolve(options)
    log.info(
        "nodemesh starts", version=__version__, node=options.node, workers=options.workers, ebpf=options.ebpf.value,
        python=platform.python_version(), kernel=platform.release(), descriptors=raise_limit(),
    )  # fmt: skip
    run_dir, ours = rundir.make(options)
    store = FdStore()
    replaced = False
    try:
        predecessor = upgrade.knock(run_dir) if options.replace else None
        if predecessor is not None:
            predecessor.load(store)
            ours = store.note(upgrade.LOCK) == upgrade.OURS
        else:
            store.put(upgrade.LOCK, rundir.lock(run_dir), upgrade.OURS if ours else "")
            rundir.sweep(run_dir)
        socket_path = f"{run_dir}/control-{os.getpid()}.sock"
        options = msgspec.structs.replace(options, run_dir=run_dir, control_socket=socket_path)
        supervisor = Supervisor(options, store, predecessor)
        bind_all(options, store)
        status = supervisor.run()
        replaced = supervisor.state is AgentState.REPLACED or (predecessor is not None and status != 0)
        return status
    finally:
        store.clear()
        if ours and not replaced:
            shutil.rmtree(run_dir, ignore_errors=True)
