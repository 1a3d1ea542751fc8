"""An upstream connection that is made before the client has spoken, since its server may be the one to speak first."""

from __future__ import annotations

from mypy_extensions import trait

from ...balance.outlier import Outcome
from ...routing.decision import Decision
from ...telemetry.record import ConnectionRecord
from ..pod import Pod
from ..transport import Transport
from .connection import Found, TcpConnection, begin, find
from .refusal import refuse
from .relay import Relay


@trait
class Waiting:
    """Who waits for either side to speak."""

    __slots__ = ()

    def early_failed(self, record: ConnectionRecord) -> None:
        """The upstream connection was not made, for the reasons in the record; the client knows nothing of it."""
        raise NotImplementedError


class EarlyConnection(TcpConnection):
    """Nothing of it is recorded while the client may turn out to speak HTTP or TLS: it was made in vain then."""

    __slots__ = ("waiting", "relay", "_established")

    def __init__(self, pod: Pod, found: Found, record: ConnectionRecord, waiting: Waiting) -> None:
        super().__init__(pod, found, record)
        self.waiting: Waiting | None = waiting
        self.relay: Relay | None = None
        self._established = False

    def start(self, client: Transport) -> Relay:
        """Connect; the client's bytes are not the relay's until `join`."""
        self.relay = self.open(client, b"")
        return self.relay

    def join(self, client: Transport) -> Relay:
        """It is TCP: the client's connection is the relay's from here on."""
        relay = self.relay
        assert relay is not None
        self.waiting = self.relay = None
        if self._established:
            self.pod.shared.telemetry.opened(self.record)
            self._limit(relay)
        relay.client.take(client)
        return relay

    def release(self) -> None:
        """It was made in vain: only the upstream connection is closed."""
        relay = self.relay
        assert relay is not None
        self.waiting = self.relay = None
        relay.release_client()
        self._release()

    @property
    def server_spoke(self) -> bool:
        return self.relay is not None and self.relay.upstream.count > 0

    def relay_established(self, relay: Relay) -> None:
        if self.waiting is None:
            super().relay_established(relay)
            return
        self._established = True
        self._report(Outcome.COMPLETED)

    def relay_failed(self, relay: Relay) -> bool:
        waiting = self.waiting
        if waiting is None:
            return False
        self.release()
        waiting.early_failed(self.record)
        return True

    def relay_closed(self, relay: Relay) -> None:
        self.waiting = self.relay = None
        super().relay_closed(relay)


def start_early(
    pod: Pod, transport: Transport, decision: Decision, dialled: tuple[str, int] | None, waiting: Waiting
) -> EarlyConnection | None:
    """Connect to where a silent client's connection would lead. None: nowhere, and `waiting` was told."""
    record = begin(pod, transport, decision, "")
    found = find(pod, record, decision, dialled)
    if found is None:
        waiting.early_failed(record)
        return None
    early = EarlyConnection(pod, found, record, waiting)
    early.start(transport)
    return early


def give_up(pod: Pod, transport: Transport, record: ConnectionRecord) -> None:
    """Reset a client that has sent nothing, and for which no server could be reached."""
    record.duration = pod.shared.clock.time() - record.started
    refuse(pod, transport, record)
    pod.release()
