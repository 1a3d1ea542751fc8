"""What became of a simulated request: where it went, by which rule, what came back and what the upstreams saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import msgspec

from ..reasons import TEXTS, Reason
from ..telemetry.record import ConnectionRecord, RequestRecord
from .deeds import SeenRequest

#: What ended a call without an answer.
RESET = "reset"
CLOSED = "closed"
HUNG = "no answer"


class Answer(msgspec.Struct, kw_only=True):
    """One request's end. `status` is 0 and `error` says why where no answer came. `seconds` are the virtual clock's,
    from the request to the end of the answer. `service`, `subset`, `pod` and `address` say where it went; of several
    tries, the last. `seen` is what upstreams saw of it, `copies` are the pods that mirrors have sent it to."""

    request: str
    status: int = 0
    headers: Mapping[str, str] = {}
    body: bytes = b""
    trailers: Mapping[str, str] = {}
    error: str = ""
    seconds: float = 0.0
    mode: str = "proxy"
    cluster: str = ""
    service: str = ""
    port: int = 0
    subset: str = ""
    pod: str = ""
    address: str = ""
    rule: str = ""
    route: str = ""
    reasons: tuple[Reason, ...] = ()
    tries: int = 0
    seen: tuple[SeenRequest, ...] = ()
    copies: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300 and self.grpc_status in (None, 0)

    @property
    def grpc_status(self) -> int | None:
        """gRPC's status, from the trailers or the head; None where there is none."""
        found = self.trailers.get("grpc-status", self.headers.get("grpc-status"))
        return int(found) if found is not None else None

    @property
    def flags(self) -> str:
        """Envoy's response flags, as the access log has them; `-` for none."""
        found = [TEXTS[reason].flag for reason in self.reasons if TEXTS[reason].flag != "-"]
        return ",".join(dict.fromkeys(found)) or "-"

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode(errors="replace")

    @property
    def location(self) -> str:
        """Where a redirect leads."""
        return self.headers.get("location", "")

    @property
    def to(self) -> str:
        """Where it went, in short: the subset, or the service's name where there is none; else what answered."""
        if self.subset:
            return self.subset
        if self.service:
            return self.service.partition(".")[0] if ".svc." in self.service else self.service
        return self.cluster or self.error or "the mesh"

    def routed_to(self, name: str) -> bool:
        """Whether it went there: a subset, a service (in short or in full), a pod, an address, or a cluster's name."""
        pod = self.pod.partition("/")[2]
        service = self.service.partition(".")[0]
        both = f"{service}/{self.subset}" if self.subset else service
        return name in {self.subset, self.service, service, both, self.pod, pod, self.address, self.cluster} - {""}

    def __str__(self) -> str:
        outcome = str(self.status) if self.status else self.error
        where = f" from {self.to}" + (f" ({self.pod})" if self.pod else "") if self.cluster else ""
        flags = f" {self.flags}" if self.flags != "-" else ""
        tries = f", {self.tries} tries" if self.tries > 1 else ""
        rule = f", by {self.rule}" if self.rule else ""
        return f"{self.request}: {outcome}{flags}{where} after {self.seconds:g} s{tries}{rule}"


class Answers(list[Answer]):
    """The answers to many requests."""

    @property
    def to(self) -> Counter[str]:
        """How many went where."""
        return Counter(answer.to for answer in self)

    @property
    def statuses(self) -> Counter[int]:
        return Counter(answer.status for answer in self)

    def share(self, name: str) -> float:
        """The part of them (0 to 1) that went there."""
        return sum(answer.routed_to(name) for answer in self) / len(self) if self else 0.0

    @property
    def tries(self) -> int:
        """Of all of them together."""
        return sum(answer.tries for answer in self)


def take_record(answer: Answer, record: ConnectionRecord) -> None:
    """What the proxy says about it."""
    cluster = record.cluster
    if cluster is not None:
        answer.cluster, answer.service, answer.port = cluster.name, cluster.host, cluster.port
        answer.subset = cluster.subset
    elif record.service is not None:
        answer.service = record.service.host
    answer.address = record.upstream_host
    answer.rule = str(record.rule or "")
    answer.route = record.route_name
    answer.reasons = record.reasons
    answer.tries = record.attempts if isinstance(record, RequestRecord) else int(bool(record.upstream_host))
