"""An HTTP/2 connection to an endpoint, which several requests share."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ..clock import Timer
from ..http.connect_error import failure_of
from ..http.pool import Pool
from ..http.stream import Multiplexed, Stream
from ..outlet import Outlet
from ..transport import READ_SIZE, Buffer, Handler
from .client_stream import ClientCarrier, ClientStream
from .codes import CANCEL, ENHANCE_YOUR_CALM
from .connection import Http2Connection
from .fault import Http2Fault
from .limits import Http2Limits
from .role import Role
from .stream import Http2Stream

# The states of a connection.
CONNECTING: Final = 0
OPEN: Final = 1
RETIRED: Final = 2  # takes no more requests
CLOSED: Final = 3

#: What may follow each state; all changes go through `Http2Client._enter`.
NEXT: Final[dict[int, frozenset[int]]] = {
    CONNECTING: frozenset({OPEN, RETIRED, CLOSED}),
    OPEN: frozenset({RETIRED, CLOSED}),
    RETIRED: frozenset({CLOSED}),
    CLOSED: frozenset(),
}

#: What an endpoint may ask of us. Its responses' heads may be as large as HTTP/1.1's.
LIMITS: Final = Http2Limits(head=80 * 1024, fields=100)

#: What a keepalive ping carries.
PAYLOAD: Final = b"nodemesh"

#: The longest pause between keepalive pings of a peer that has called them too many, in intervals.
MOST_BACKOFF: Final = 32


class Http2Client(Handler, Multiplexed, ClientCarrier):
    """One connection. It is in its pool while it takes requests."""

    __slots__ = (
        "pool", "outlet", "lane", "name", "approach", "transport", "codec", "state", "requests", "opened", "idle_since",
        "_streams", "_receiving", "answering", "_held", "_blocked", "_timer", "_ping_timer", "_heard", "_pinged",
        "_backoff",
    )  # fmt: skip

    def __init__(self, pool: Pool, outlet: Outlet, name: str) -> None:
        clock = pool.clock
        target = pool.target
        self.pool = pool
        self.outlet = outlet
        self.lane = outlet.lane
        self.approach = pool.approach
        self.name = name
        self.state = CONNECTING
        self.requests = 0
        self.opened = clock.now
        self.idle_since = clock.now
        self.codec = Http2Connection(ClientRole(self), False, LIMITS, clock.now)
        self._streams: dict[ClientStream, None] = {}  # those that a requester waits for
        self._receiving = False
        self.answering: list[ClientStream] = []  # since the last read, of which more may come than the head
        self._held = 0  # bytes that the pod's gate knows of, as held
        self._blocked = 0  # and as blocked
        self._heard = clock.now  # when anything came last
        self._pinged = False  # and no answer has come
        self._backoff = 1
        self._timer: Timer | None = clock.after(target.cluster.pool.connect_timeout, self._timed_out)
        self._ping_timer: Timer | None = None
        pool.line.open += 1
        self.transport = target.connect(pool.host, outlet, self, self.approach, name, "h2")
        self.flush()

    # --- what the pool asks

    @property
    def busy(self) -> bool:
        return bool(self._streams) or bool(self.codec.streams)

    def has_room(self) -> bool:
        codec = self.codec
        most = self.pool.target.cluster.pool.max_concurrent_streams
        return self.state < RETIRED and len(self._streams) < most and len(codec.streams) < codec.most

    @property
    def tunnels(self) -> bool:
        return self.codec.settled and self.codec.peer.connect

    def stream(self) -> Stream:
        found = ClientStream(self.codec, self)
        self._streams[found] = None
        return found

    def became_idle(self, now: float) -> None:
        self.idle_since = now

    def retire(self) -> None:
        if self.state < RETIRED:
            self._enter(RETIRED)
            self.pool.leave(self)
        if not self.busy:
            self.close()

    def close(self) -> None:
        """Give the connection up; nobody is told."""
        if self.state == CLOSED:
            return
        if self.state < RETIRED:
            self.pool.leave(self)
        self._enter(CLOSED)
        clock = self.pool.clock
        for timer in (self._timer, self._ping_timer):
            if timer is not None:
                clock.cancel(timer)
        self._timer = self._ping_timer = None
        if self.transport.established and not self.codec.broken:
            self.codec.finish()
            self._write()
        self._count(0, 0)
        self.codec.role = GONE  # it knows us: undone, so that nothing waits for the garbage collector
        self.transport.close()
        self.pool.forget(self)

    # --- what the streams ask

    def begin(self) -> None:
        self.requests += 1
        if self._ping_timer is None and self.pool.target.cluster.pool.ping_interval > 0.0:
            self._await_ping()

    def flush(self) -> None:
        codec = self.codec
        if codec.unsent < READ_SIZE and not codec.recount:
            self.transport.prompt()
        else:
            self.prompted()

    def left(self, stream: ClientStream) -> None:
        if stream not in self._streams or self.state == CLOSED:
            return
        del self._streams[stream]
        if self.state < RETIRED:
            self.pool.released(self)
        elif not self.busy:
            self.close()

    # --- what the transport calls

    def connected(self) -> None:
        self._stop_timer()
        security = self.transport.security
        if security is not None and security.selected_alpn_protocol() not in ("h2", None):
            self._fail(Reason.UPSTREAM_CONNECTION_FAILURE, "the server chose HTTP/1.1 where HTTP/2 was to be spoken")
            return
        if self.state == CONNECTING:
            self._enter(OPEN)

    def received(self, data: Buffer) -> None:
        if self.state == CLOSED:
            return
        clock = self.pool.clock
        self._heard = clock.now
        self._receiving = True
        try:
            self.codec.receive(data if isinstance(data, bytes) else bytes(data), clock.now)
            if self.answering:
                answering, self.answering = self.answering, []
                for stream in answering:
                    if stream.response is not None:
                        stream.tell_head()
        finally:
            self._receiving = False
        codec = self.codec
        if codec.out or codec.recount or codec.broken or self.state == RETIRED:
            self.flush()

    def ended(self) -> None:
        self._fail(Reason.UPSTREAM_CONNECTION_TERMINATION, "")

    def prompted(self) -> None:
        if self._receiving or self.state == CLOSED:
            return
        codec = self.codec
        if codec.recount:
            self._count(codec.backlog, codec.kept)
        if codec.out:
            self._write()
        if codec.broken or (self.state == RETIRED and not self.busy):
            self.close()

    def drained(self) -> None:
        self.codec.flushed()
        for stream in list(self._streams):
            stream.transport_drained()

    def lost(self, error: OSError) -> None:
        self._fail(*failure_of(error, self.transport.established))

    def drain(self) -> None:
        """The worker is to end: streams that are under way go on."""
        self.retire()

    # --- inside

    def _write(self) -> None:
        data = self.codec.outgoing()
        if data:
            self.transport.send(data)
        if not self.transport.pending:
            self.codec.flushed()

    def _count(self, held: int, blocked: int) -> None:
        """Tell the pod's gate what is kept here: of requests for which the endpoint has opened no window, which stops
        the pod and not the endpoint; and what tunnels keep until the pod takes it."""
        gate = self.outlet.gate
        self.codec.recount = False
        if held != self._held:
            change, self._held = held - self._held, held
            gate.change_held(change)
        if blocked != self._blocked:
            change, self._blocked = blocked - self._blocked, blocked
            gate.change_blocked(change)

    def look(self) -> None:
        """Close what takes no request, and has none: an endpoint that allows no streams at all would have a connection
        of each request, until they are idle for too long."""
        if not self.codec.most and self.codec.settled and not self.busy:
            self.retire()

    def goodbye(self, fault: Http2Fault) -> None:
        """The peer takes no more requests."""
        if fault.code == ENHANCE_YOUR_CALM:
            self._backoff = min(self._backoff * 2, MOST_BACKOFF)
        self.retire()

    def _fail(self, reason: Reason, detail: str) -> None:
        """The connection is broken, and with it what it carries."""
        if self.state == CLOSED:
            return
        self._stop_timer()
        fault = Http2Fault(CANCEL, reason, detail, True)
        waiting = [stream for stream in self._streams if not stream.sent]
        self.codec.lost(fault)
        self.close()
        for stream in waiting:
            stream.failed(fault)

    def _timed_out(self) -> None:
        self._timer = None
        self._fail(Reason.UPSTREAM_CONNECTION_TIMEOUT, "")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self.pool.clock.cancel(self._timer)
            self._timer = None

    def _await_ping(self) -> None:
        interval = self.pool.target.cluster.pool.ping_interval
        if interval > 0.0:
            self._ping_timer = self.pool.clock.after(interval * self._backoff, self._ping)

    def _ping(self) -> None:
        """Ask whether the peer is still there, unless it has been heard meanwhile, or nobody waits for it: servers of
        gRPC refuse pings without streams."""
        self._ping_timer = None
        if not self.codec.streams:
            return  # the next request starts over
        clock, settings = self.pool.clock, self.pool.target.cluster.pool
        if clock.now - self._heard < settings.ping_interval or settings.ping_timeout <= 0.0:
            self._await_ping()
            return
        self._pinged = True
        self.codec.ping(PAYLOAD)
        self.flush()
        self._ping_timer = clock.after(settings.ping_timeout, self._listen)

    def _listen(self) -> None:
        """Anything that came since the ping is a sign of life (a busy peer may be late with its answer)."""
        self._ping_timer = None
        if self.pool.clock.now - self._heard >= self.pool.target.cluster.pool.ping_timeout:
            self._fail(Reason.UPSTREAM_CONNECTION_TERMINATION, "no answer to a keepalive ping")
        else:
            self._await_ping()

    def _enter(self, state: int) -> None:
        assert state in NEXT[self.state], f"{self!r} cannot become {state}"
        self.state = state


class ClientRole(Role):
    """What the codec tells a client's connection."""

    __slots__ = ("client",)

    def __init__(self, client: Http2Client) -> None:
        self.client = client

    def released(self, stream: Http2Stream) -> None:
        client = self.client
        if not client.codec.most:
            client.look()

    def settled(self) -> None:
        self.client.look()

    def leaving(self, fault: Http2Fault) -> None:
        self.client.goodbye(fault)

    def broken(self, fault: Http2Fault) -> None:
        """The streams have heard it."""


class ClosedRole(Role):
    """Of a connection that is closed."""

    __slots__ = ()

    def released(self, stream: Http2Stream) -> None:
        pass

    def leaving(self, fault: Http2Fault) -> None:
        pass

    def broken(self, fault: Http2Fault) -> None:
        pass


GONE: Final = ClosedRole()
