"""What all connections of one worker share: the clusters at work, clock, randomness, telemetry, and the way out."""

from __future__ import annotations

from email.utils import formatdate
from random import Random
from typing import Final

from ..balance.shared import Share
from ..routing.decision import Cluster
from ..telemetry.telemetry import Telemetry
from .clock import Clock
from .codecs import HttpCodecs
from .connector import Connector
from .http.request_id import RequestIds
from .http.target import HttpTarget
from .network import Network
from .tls.certificates import Certificates

#: Seconds between two rounds of housekeeping over all targets.
HOUSEKEEPING: Final = 1.0

#: A target that nothing has used for this long is given up.
TARGET_IDLE: Final = 600.0


class Shared:
    """Made once, and known to every connection through its pod."""

    def __init__(self, network: Network, clock: Clock, rng: Random, telemetry: Telemetry) -> None:
        self.network = network
        self.clock = clock
        self.rng = rng
        self.telemetry = telemetry
        self.share: Share | None = None  # counters in common with the node's other workers
        self.connector = Connector(network, clock, rng)
        self.targets: dict[str, HttpTarget] = {}
        self.request_ids = RequestIds()
        self.draining = False
        self.accept_http10 = False
        self._codecs = HttpCodecs()
        self._date = b""
        self._date_until = 0.0
        clock.after(HOUSEKEEPING, self._keep_house)

    @property
    def certificates(self) -> Certificates:
        """For clients' connections as for our own."""
        return self.connector.certificates

    def target(self, cluster: Cluster) -> HttpTarget:
        """The cluster at work."""
        target = self.targets.get(cluster.key)
        if target is None:
            target = HttpTarget(cluster, self.connector, self._codecs, self.clock, self.rng, self.share)
            self.targets[cluster.key] = target
        elif target.cluster is not cluster:
            target.adopt(cluster)
        target.used = self.clock.now
        return target

    def retire(self, addresses: frozenset[str]) -> None:
        """Pods with these addresses are about to go."""
        for target in self.targets.values():
            target.group.retire(addresses)

    def date_line(self) -> bytes:
        """The `date` field, made once per second."""
        if self.clock.now >= self._date_until:
            time = self.clock.time()
            self._date = b"date: " + formatdate(time, usegmt=True).encode()
            self._date_until = self.clock.now + 1.0 - time % 1.0
        return self._date

    def _keep_house(self) -> None:
        """End ejections, drain what left, and give up targets that are out of use."""
        now = self.clock.now
        for key, target in list(self.targets.items()):
            target.sweep(now)
            if now - target.used > TARGET_IDLE and not target.busy:
                target.close()
                del self.targets[key]
        self.clock.after(HOUSEKEEPING, self._keep_house)
