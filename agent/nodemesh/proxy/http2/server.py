"""A client's HTTP/2 connection: each stream gets an exchange, and what all of them say goes out together."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ..clock import Alarm, Timer
from ..gate import OVER_QUOTA
from ..http.records import refused_record
from ..http.session import Session
from ..transport import READ_SIZE, Buffer, Handler, Transport
from .codes import CANCEL, ENHANCE_YOUR_CALM
from .connection import Http2Connection
from .fault import Http2Fault
from .head import Head
from .limits import Http2Limits
from .receiver import Receiver
from .role import Role
from .server_stream import PROTOCOL, ServerCarrier, ServerStream
from .stream import Http2Stream

# The states of a connection.
SERVING: Final = 0
DRAINING: Final = 1  # the first GOAWAY is said: the client is to open no more streams, those on their way are served
FINISHING: Final = 2  # the second one is: what streams there are end
CLOSING: Final = 3  # our FIN is sent
CLOSED: Final = 4

#: What may follow each state; all changes go through `Http2Server._enter`.
NEXT: Final[dict[int, frozenset[int]]] = {
    SERVING: frozenset({DRAINING, CLOSING, CLOSED}),
    DRAINING: frozenset({FINISHING, CLOSING, CLOSED}),
    FINISHING: frozenset({CLOSING, CLOSED}),
    CLOSING: frozenset({CLOSED}),
    CLOSED: frozenset(),
}

#: Seconds between two looks for what takes too long; a window that stays shut has so many of them.
SWEEP: Final = 5.0
STALLED_SWEEPS: Final = 12

#: Seconds for the client's preface and SETTINGS to come.
GREETING_TIMEOUT: Final = 60.0

#: Seconds a connection may stay without a stream (Envoy's idle_timeout).
IDLE_TIMEOUT: Final = 3600.0

#: Seconds between the two GOAWAYs.
DRAIN_DELAY: Final = 1.0

#: Seconds during which a client that we close may still read what was sent.
LINGER: Final = 1.0

#: Streams that one read may open before others get their turn: each may cost a connection to an upstream.
AT_ONCE: Final = 4

#: What a pod's connection may ask of us, and one from outside, at a gateway.
POD_LIMITS: Final = Http2Limits()
GATEWAY_LIMITS: Final = Http2Limits(streams=100)

#: Why all streams of a connection fail whose client left, or was sent away (`Pod.relieve`).
GONE: Final = Http2Fault(CANCEL, Reason.DOWNSTREAM_CONNECTION_TERMINATION, "", True)
CROWDED: Final = Http2Fault(CANCEL, Reason.LIMIT_PER_POD, "")


class Http2Server(Handler, ServerCarrier):
    """One connection; `streams` are those with an exchange, or a tunnel."""

    __slots__ = (
        "session", "pod", "transport", "codec", "streams", "state", "since", "begun", "_receiving", "_due", "_alarms",
        "_held", "_blocked", "_sweeps", "_timer",
    )  # fmt: skip

    def __init__(self, session: Session, transport: Transport) -> None:
        pod = session.pod
        clock = pod.shared.clock
        self.session = session
        self.pod = pod
        self.transport = transport
        limits = GATEWAY_LIMITS if pod.gateway_port else POD_LIMITS
        self.codec = Http2Connection(ServerRole(self), True, limits, clock.now)
        self.streams: dict[int, ServerStream] = {}
        self.state = SERVING
        self._receiving = False
        self._due = False  # a part of what has come waits for a later turn
        self.begun: list[ServerStream] = []  # since the last read, and may get more than their heads
        self._alarms: list[Alarm] = []  # of streams that are over, for those to come
        self._held = 0  # bytes that the pod's gate knows of, as held
        self._blocked = 0  # and as blocked
        self._sweeps = 0
        self.since = clock.now  # of the last stream's end
        self._timer: Timer = clock.after(SWEEP, self._check)
        transport.handler = self
        pod.connections[self] = None
        self.flush()

    @property
    def idle(self) -> bool:
        return not self.codec.streams

    # --- what the transport calls

    def received(self, data: Buffer) -> None:
        if self.state >= CLOSING:
            return
        codec = self.codec
        codec.quota = AT_ONCE if not self._due else 0
        self._receiving = True
        try:
            codec.receive(data if isinstance(data, bytes) else bytes(data), self.pod.shared.clock.now)
            if self.begun:
                begun, self.begun = self.begun, []
                for stream in begun:
                    if stream.waits:
                        stream.begin()
        finally:
            self._receiving = False
        if codec.out or codec.recount or codec.broken or self.state != SERVING:
            self.flush()
        if codec.quota <= 0 and codec.stalled and self.state < CLOSING:
            self._leave_rest()

    def ended(self) -> None:
        self._lose(GONE)

    def drained(self) -> None:
        self.codec.flushed()
        for stream in list(self.streams.values()):
            stream.transport_drained()

    def prompted(self) -> None:
        if self._receiving or self.state >= CLOSING:
            return
        codec, transport = self.codec, self.transport
        if codec.recount:
            self._count()
        if codec.out:
            transport.send(codec.outgoing())
        if codec.control and not transport.pending:
            codec.flushed()
        if codec.broken or (self.state == FINISHING and not codec.streams):
            self._close()

    def lost(self, error: OSError) -> None:
        self._lose(CROWDED if error.errno == OVER_QUOTA else GONE)

    def drain(self) -> None:
        """Say GOAWAY, also to a client that asks nothing, and close when the last stream is over."""
        if self.state != SERVING:
            return
        self._enter(DRAINING)
        self.codec.drain()
        clock = self.pod.shared.clock
        clock.cancel(self._timer)
        self._timer = clock.after(DRAIN_DELAY, self._finish)
        self.flush()

    def describe(self) -> dict[str, str]:
        return {
            "protocol": "HTTP/2",
            "client": self.transport.remote,
            "destination": self.transport.local,
            "request": " ".join([stream.path for stream in list(self.streams.values())[:3]]),
            "streams": str(len(self.codec.streams)),
        }

    def progress(self) -> None:
        for stream in self.streams.values():
            if stream.exchange is not None:
                stream.exchange.progress()

    # --- what the streams call

    def flush(self) -> None:
        """What all streams have to say goes out together, unless it is much, or the gate is to know what waits."""
        codec = self.codec
        if codec.unsent < READ_SIZE and not codec.recount:
            self.transport.prompt()
        else:
            self.prompted()

    def alarm(self) -> Alarm:
        return self._alarms.pop() if self._alarms else Alarm(self.pod.shared.clock)

    def spare(self, alarm: Alarm) -> None:
        if alarm.due:
            alarm.clear()
        if self.state < CLOSED:
            self._alarms.append(alarm)
        else:
            alarm.close()

    def note_refusal(self, reason: Reason, detail: str, status: int) -> None:
        record = refused_record(self.session, status, reason, detail)
        record.protocol = PROTOCOL
        self.pod.shared.telemetry.record(record)

    # --- what comes

    def _leave_rest(self) -> None:
        """Leave what has come for a later turn, and no more of it than one read takes."""
        if self.codec.held >= READ_SIZE:
            self.transport.pause()
        if not self._due:
            self._due = True
            self.transport.later(self._go_on)

    def _go_on(self) -> None:
        """Go on with what has come when the others have had their turn."""
        self._due = False
        if self.state < CLOSING:
            self.transport.resume()
            self.received(b"")

    def _count(self) -> None:
        """Tell the pod's gate what is kept here: of frames that are not complete, for tunnels, and of responses for
        which the client has opened no window."""
        codec, gate = self.codec, self.session.gate
        codec.recount = False
        held = codec.held + codec.kept
        if held != self._held:
            change, self._held = held - self._held, held
            gate.change_held(change)
        blocked = codec.backlog
        if blocked != self._blocked:
            change, self._blocked = blocked - self._blocked, blocked
            gate.change_blocked(change)
            if change > 0 and gate.choked and self.pod.gateway_port:
                self.transport.later(self._relieve)

    def _relieve(self) -> None:
        """A client outside has more answers waiting for its windows than it may. The upstreams are the gateway's, and
        are read for others' sake: so some of its answers go, the largest first."""
        while self.state < CLOSING and self.session.gate.overfull:
            largest = max(self.streams.values(), key=waiting_in, default=None)
            if largest is None or not waiting_in(largest):
                return
            largest.give_up(Reason.LIMIT_PER_POD, "too much waits for the client's windows")
            self.prompted()

    # --- the end

    def _finish(self) -> None:
        """The client has had the time to hear the first GOAWAY."""
        self._enter(FINISHING)
        self.codec.finish()
        self._timer = self.pod.shared.clock.after(SWEEP, self._check)
        self.flush()

    def _close(self) -> None:
        """Send our FIN behind everything else, and wait a moment: a RST would destroy what the client has not read."""
        self._enter(CLOSING)
        clock = self.pod.shared.clock
        clock.cancel(self._timer)
        self.transport.end()
        self._timer = clock.after(LINGER, self._forget)

    def _lose(self, fault: Http2Fault) -> None:
        """The client is gone, or sent away."""
        self.codec.lost(fault)
        self._forget()

    def _forget(self) -> None:
        if self.state == CLOSED:
            return
        self._enter(CLOSED)
        self.pod.shared.clock.cancel(self._timer)
        gate = self.session.gate
        if self._held:
            gate.change_held(-self._held)
            self._held = 0
        if self._blocked:
            gate.change_blocked(-self._blocked)
            self._blocked = 0
        for alarm in self._alarms:
            alarm.close()
        self.codec.role = NO_ROLE  # it knows us: undone, so that nothing waits for the garbage collector
        self.pod.forget(self)
        self.transport.close()

    def _check(self) -> None:
        """End what takes too long: a greeting, a field section, a window that stays shut, idleness."""
        clock, codec = self.pod.shared.clock, self.codec
        self._timer = clock.after(SWEEP, self._check)
        idle = clock.now - self.since
        if codec.block_since >= 0.0 and clock.now - codec.block_since > codec.limits.block_time:
            codec.give_up(Http2Fault(ENHANCE_YOUR_CALM, Reason.HTTP2_CONTINUATION_FLOOD, "field section does not end"))
        elif not codec.settled and idle > GREETING_TIMEOUT:
            self._lose(GONE)
        elif not codec.streams and idle >= IDLE_TIMEOUT:
            self.drain()
        self._sweeps += 1
        if self._sweeps % STALLED_SWEEPS == 0:
            for stream in list(self.streams.values()):
                stream.check()
        self.flush()

    def _enter(self, state: int) -> None:
        assert state in NEXT[self.state], f"{self!r} cannot become {state}"
        self.state = state


def waiting_in(stream: ServerStream) -> int:
    return stream.stream.pending


class ServerRole(Role):
    """What the codec tells a server's connection."""

    __slots__ = ("server",)

    def __init__(self, server: Http2Server) -> None:
        self.server = server

    def opened(self, stream: Http2Stream) -> Receiver:
        server = self.server
        found = server.streams[stream.id] = ServerStream(server.session, server.codec, server, stream)
        return found

    def refused(self, head: Head, fault: Http2Fault) -> None:
        self.server.note_refusal(fault.reason, fault.text, 0)

    def released(self, stream: Http2Stream) -> None:
        server = self.server
        server.streams.pop(stream.id, None)
        server.since = server.pod.shared.clock.now

    def broken(self, fault: Http2Fault) -> None:
        self.server.note_refusal(fault.reason, fault.text, 0)


class NoRole(Role):
    """Of a connection that is closed."""

    __slots__ = ()

    def released(self, stream: Http2Stream) -> None:
        pass

    def broken(self, fault: Http2Fault) -> None:
        pass


NO_ROLE: Final = NoRole()
