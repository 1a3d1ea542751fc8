"""Two connections that are joined: bytes go through as they come, and so do ends and resets."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from ...telemetry.record import ConnectionRecord, RequestRecord
from ..clock import CommonTimeout, Timer, Waiter
from ..doomed import SHORTAGES
from ..gate import OVER_QUOTA
from ..pod import Pod
from ..transport import READ_SIZE, Buffer, Handler, Transport

#: Bytes of a client that wait for the upstream connection before it is not read any more.
MAX_EARLY: Final = 64 * 1024


class Side(Handler):
    """One of the two connections: hands everything to the other."""

    __slots__ = ("relay", "transport", "other", "out", "finished", "count")

    def __init__(self, relay: Relay) -> None:
        self.relay: Relay | None = relay
        self.transport: Transport | None = None
        self.other: Side | None = None
        self.out: Transport | None = None  # the other one's
        self.finished = False  # its FIN has come
        self.count = 0  # bytes that came from it

    def take(self, transport: Transport) -> None:
        """Have a connection from here on."""
        self.transport = transport
        transport.handler = self
        transport.bulk = True
        transport.appetite = READ_SIZE
        other = self.other
        if other is not None:
            other.out = transport
        out = self.out
        if out is not None:
            transport.join(out)

    def leave(self) -> None:
        """The relay is closed: point at nothing, so that its memory need not wait for the collector."""
        self.relay = self.transport = self.other = self.out = None

    def name(self) -> str:
        """Who is there, for the access log."""
        return self.transport.remote if self.transport is not None else ""

    def connected(self) -> None:
        if self.relay is not None:
            self.relay.established()

    def received(self, data: Buffer) -> None:
        relay, out = self.relay, self.out
        if relay is None or out is None:
            return
        self.count += len(data)
        relay.touched = relay.clock.now
        if not out.established:
            relay.early.append(bytes(data))
        out.send(data)
        if out.pending and (out.established or out.pending > MAX_EARLY):
            self.pause()

    def passed(self, size: int) -> None:
        relay, out = self.relay, self.out
        if relay is None or out is None:
            return
        self.count += size
        relay.touched = relay.clock.now
        if out.pending:
            self.pause()

    def pause(self) -> None:
        """Read no more until the other connection has taken what waits."""
        if self.transport is not None:
            self.transport.pause()

    def describe(self) -> dict[str, str]:
        relay = self.relay
        if relay is None:
            return {}
        return {
            "protocol": relay.record.protocol.decode(),
            "client": relay.client.name(),
            "destination": relay.record.downstream_local,
            "upstream": relay.upstream.name(),
        }

    def progress(self) -> None:
        if self.relay is not None:
            self.relay.progress()

    def ended(self) -> None:
        self.finished = True
        relay, other, out = self.relay, self.other, self.out
        if relay is None or other is None or out is None:
            return
        if other.finished:
            relay.close()
        else:
            out.end()

    def drained(self) -> None:
        other = self.other
        if other is not None and not other.finished and other.transport is not None:
            other.transport.resume()

    def lost(self, error: OSError) -> None:
        if self.relay is not None:
            self.relay.broken(self, error)


class Relay(Waiter):
    """Half-closed connections stay joined; a RST on one side is a RST on the other.

    Its owner, if it has one, hears of the upstream connection's making and of the end."""

    __slots__ = (
        "pod", "clock", "record", "client", "upstream", "early", "touched", "_idle", "_timer", "_began", "_owner",
        "_open",
    )  # fmt: skip

    def __init__(self, pod: Pod, record: ConnectionRecord, idle_timeout: float, owner: RelayOwner | None) -> None:
        self.pod = pod
        self.record = record
        self.client = Side(self)
        self.upstream = Side(self)
        self.client.other = self.upstream
        self.upstream.other = self.client
        self.early: list[bytes] = []  # what came before the upstream connection stood, for another one
        clock = self.clock = pod.shared.clock
        self.touched = self._began = clock.now
        self._idle: CommonTimeout | None = None
        self._timer: Timer | None = None  # of one that was found to be in use when it had stood as long as it may idle
        if idle_timeout:
            self._idle = clock.common(idle_timeout)
            self._idle.join(self)
        self._owner = owner
        self._open = True
        pod.connections[self.client] = None

    def start(self, to_upstream: bytes, to_client: bytes) -> None:
        """Both sides have their connections: send what has come already, and read on."""
        client, upstream = self.client.transport, self.upstream.transport
        assert client is not None and upstream is not None
        if to_upstream:
            self.client.count += len(to_upstream)
            if not upstream.established:
                self.early.append(to_upstream)
            upstream.send(to_upstream)
        if to_client:
            self.upstream.count += len(to_client)
            client.send(to_client)
        if client.pending:
            upstream.pause()
        else:
            upstream.resume()
        if upstream.pending:
            client.pause()
        else:
            client.resume()

    def established(self) -> None:
        self.early = []
        if self._owner is not None:
            self._owner.relay_established(self)

    def connect_timed_out(self) -> None:
        self._unconnected(Reason.UPSTREAM_CONNECTION_TIMEOUT, "")

    def outlived(self) -> None:
        """The longest that a connection may stand is over."""
        self.record.reasons += (Reason.MAX_CONNECTION_DURATION,)
        self.close()

    def broken(self, side: Side, error: OSError) -> None:
        """One connection broke: the other one gets a RST, too."""
        if side is self.upstream and (side.transport is None or not side.transport.established):
            local = error.errno in SHORTAGES
            reason = Reason.LOCAL_CONNECTION_FAILURE if local else Reason.UPSTREAM_CONNECTION_FAILURE
            self._unconnected(reason, str(error))
            return
        if error.errno == OVER_QUOTA:
            self.record.reasons += (Reason.LIMIT_PER_POD,)
        elif side is self.client:
            self.record.reasons += (Reason.DOWNSTREAM_CONNECTION_TERMINATION,)
        else:
            self.record.reasons += (Reason.UPSTREAM_REMOTE_RESET,)
        self.close(reset=True)

    def _unconnected(self, reason: Reason, detail: str) -> None:
        """The upstream connection was not made: the owner has another one, or this is the end."""
        owner = self._owner
        other = owner.relay_unconnected(self, reason) if owner is not None else None
        if other is not None:
            self._reconnect(other)
            return
        self.record.reasons += (reason,)
        self.record.transport_failure = detail
        if owner is None or not owner.relay_failed(self):
            self.close(reset=True)

    def _reconnect(self, upstream: Transport) -> None:
        """Say to another upstream what the client has said so far."""
        if self.upstream.transport is not None:
            self.upstream.transport.abort()
        self.upstream.take(upstream)
        for data in self.early:
            upstream.send(data)
        if self.client.finished:
            upstream.end()

    def progress(self) -> None:
        """Count the bytes of a connection that goes on; those of a request that has changed its protocol count when it
        ends, as all of a request's."""
        record = self.record
        if not isinstance(record, RequestRecord):
            telemetry = self.pod.shared.telemetry
            telemetry.progressed(
                record, record.bytes_received + self.client.count, record.bytes_sent + self.upstream.count
            )

    def close(self, reset: bool = False) -> None:
        """Close both connections and write the record."""
        if not self._open:
            return
        self._open = False
        self._stop_waiting()
        client, upstream, record = self.client, self.upstream, self.record
        for transport in (client.transport, upstream.transport):
            if transport is not None:
                if reset:
                    transport.abort()
                else:
                    transport.close()
        if upstream.transport is not None:
            record.upstream_local = upstream.transport.local
        record.bytes_received += client.count
        record.bytes_sent += upstream.count
        record.duration = self.clock.now - self._began
        if self._owner is not None:
            self._owner.relay_closed(self)
        self.pod.shared.telemetry.record(record)
        self.pod.forget(client)
        client.leave()
        upstream.leave()

    def release_client(self) -> None:
        """The client's connection is wanted elsewhere: close only the other one. Nothing of it is recorded."""
        self._open = False
        self._stop_waiting()
        if self.upstream.transport is not None:
            self.upstream.transport.close()
        self.pod.connections.pop(self.client, None)
        self.client.leave()
        self.upstream.leave()

    def _stop_waiting(self) -> None:
        if self._idle is not None:
            self._idle.leave(self)
        if self._timer is not None:
            self.clock.cancel(self._timer)

    def expired(self) -> None:
        """Close when nothing came for too long."""
        assert self._idle is not None
        left = self.touched + self._idle.delay - self.clock.now
        if left > 0.0:
            self._timer = self.clock.after(left, self.expired)
            return
        self._timer = None
        self.record.reasons += (Reason.IDLE_TIMEOUT,)
        self.close()


class RelayOwner:
    """Who has made a relay, and keeps accounts of it."""

    __slots__ = ()

    def relay_established(self, relay: Relay) -> None:
        """The upstream connection stands."""

    def relay_unconnected(self, relay: Relay, reason: Reason) -> Transport | None:
        """The upstream connection was not made; another one, if it is worth a try."""
        return None

    def relay_failed(self, relay: Relay) -> bool:
        """No upstream connection could be made. Tells whether that is taken care of; if not, the client gets a RST."""
        return False

    def relay_closed(self, relay: Relay) -> None:
        """Both connections are closed; the record is about to be written."""
