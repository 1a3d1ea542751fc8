"""The first process of `nodemesh run`: keeps listening sockets, starts control and workers, and starts them again.

It is small on purpose: it reads no configuration, speaks no HTTP and touches no kernel map, so that there is little
in it that can fail. It ends when told to, or when the very first start of control says that starting is hopeless."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import time
from enum import Enum, auto

import msgspec

from . import channel, preflight, rundir
from .channel import Channel, Closed
from .child import Child
from .logs import Log, setup
from .options import Address, RunOptions, StartError
from .store import Children, Drop, FdStore, Put, Started, ToSupervisor

log = Log("supervisor")

#: Control's exit status when the start is hopeless: it has said why, and starting it again would not help.
HOPELESS = 3

#: Seconds for control to take its hooks out of the kernel.
CONTROL_GRACE = 5.0

BACKLOG = 1024


class State(Enum):
    """starting -> running -> stopping; starting -> stopping where the start is hopeless."""

    STARTING = auto()
    RUNNING = auto()
    STOPPING = auto()


def bind(address: Address, option: str) -> socket.socket:
    """A listening TCP socket. Raises StartError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == 98:  # EADDRINUSE
            raise StartError(
                f"{address} is in use already; stop who listens there (ss -ltnp) or choose another with {option}"
            ) from None
        raise StartError(
            f"cannot listen at {address} ({error.strerror}); give {option} an address of this machine"
        ) from None


class Supervisor:
    """Owns the store, the children and the run folder."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self.state = State.STARTING
        self.status = 0
        self.store = FdStore()
        arguments = [msgspec.json.encode(options).decode()]
        self.control = Child("control", "nodemesh.node.control", arguments)
        self.workers = [
            Child(f"worker-{number}", "nodemesh.node.worker", [*arguments, str(number)])
            for number in range(options.workers)
        ]
        self._channel: Channel[ToSupervisor] | None = None
        self._listener = channel.listen(f"{options.run_dir}/control.sock")
        self._wake, self._waker = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._signals: list[int] = []
        self._poll = select.poll()
        self._poll.register(self._wake, select.POLLIN)

    # the loop

    def run(self) -> int:
        """Until told to stop; the exit status."""
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, self._on_signal)
        try:
            while self.state is not State.STOPPING:
                self._start_due()
                self._wait(self._timeout())
                self._take_signals()
                self._reap()
        finally:
            self._stop()
        return self.status

    def _on_signal(self, number: int, _frame: object) -> None:
        self._signals.append(number)

    def _take_signals(self) -> None:
        while self._signals:
            number = self._signals.pop(0)
            if number in (signal.SIGTERM, signal.SIGINT):
                self.state = State.STOPPING
            elif number == signal.SIGHUP:  # log rotation: the workers open the access log anew
                for worker in self.workers:
                    worker.signal(signal.SIGHUP)

    def _timeout(self) -> float:
        due = [child.due for child in self._children() if child.due is not None]
        return max(0.0, min(due) - time.monotonic()) if due else 60.0

    def _wait(self, seconds: float) -> None:
        for fd, _events in self._poll.poll(seconds * 1000):
            if fd == self._wake:
                os.read(self._wake, 4096)
            elif self._channel is not None and fd == self._channel.fileno():
                self._hear()

    # children

    def _children(self) -> list[Child]:
        return [self.control, *self.workers]

    def _start_due(self) -> None:
        now = time.monotonic()
        started = False
        for child in self._children():
            if child.due is None or child.due > now:
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
            self.control.start(now, fds, [str(fd) for fd in fds])
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
                if self.state is State.STARTING and status == HOPELESS:
                    self.state = State.STOPPING
                    self.status = 1
                    return
            how = signal.Signals(-status).name if status < 0 else status
            delay = max(0.0, (child.due or now) - now)
            log.warning("process died, starting it again", process=child.name, status=how, delay=f"{delay:.1f}s")
        self._adopt_orphans()

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
        elif isinstance(word, Started):
            self.state = State.RUNNING
        for fd in fds:
            os.close(fd)

    def _forget_channel(self) -> None:
        if self._channel is not None:
            self._poll.unregister(self._channel.fileno())
            self._channel.close()
            self._channel = None

    # the end

    def _stop(self) -> None:
        """Control first: nothing new is redirected any more. Then the workers finish what they have. A second signal
        ends the patience."""
        self._signals.clear()
        self.control.signal(signal.SIGTERM)
        self._await([self.control], CONTROL_GRACE)
        self.store.clear()
        for worker in self.workers:
            worker.signal(signal.SIGTERM)
        self._await(self.workers, self.options.grace + 1.0)
        self._listener.close()
        log.info("stopped")

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


def _bind_all(options: RunOptions, store: FdStore) -> None:
    """The listeners that the user asked for, into the store. Raises StartError."""
    admin = bind(options.admin, "--admin")
    store.put("admin", admin.detach())
    for expose in options.expose:
        sock = bind(expose.listen, "--expose")
        host, port = sock.getsockname()[:2]
        log.info("listening", dialled=f"{expose.host}:{expose.port}", at=Address(host, port))
        store.put(expose.name, sock.detach())


def run(options: RunOptions) -> int:
    """Run a node until told to stop; the exit status. Raises StartError where nothing has been started."""
    setup("supervisor")
    options = preflight.resolve(options)
    run_dir, ours = rundir.make(options)
    lock = rundir.lock(run_dir)
    try:
        supervisor = Supervisor(msgspec.structs.replace(options, run_dir=run_dir))
        try:
            _bind_all(options, supervisor.store)
            return supervisor.run()
        finally:
            supervisor.store.clear()
    finally:
        if ours:
            shutil.rmtree(run_dir, ignore_errors=True)
        os.close(lock)
