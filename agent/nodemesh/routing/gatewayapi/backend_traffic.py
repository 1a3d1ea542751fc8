"""XBackendTrafficPolicies: how many retries Services get, who keeps their endpoints, and what is to be said of each."""

from __future__ import annotations

from collections.abc import Mapping

from ...config.gatewayapi.common import LocalObjectReference
from ...config.gatewayapi.policies import BackendTrafficPolicySpec, RetryConstraint
from ...config.meta import Object
from ...registry.snapshot import Snapshot
from ..clusters import seconds
from ..decision import Owner, RetryBudgetPolicy
from . import GATEWAY_CONTROLLER, MESH_CONTROLLER
from .backend_tls import MAX_ANCESTORS, gateways_by_host
from .backends import ServiceReads
from .conditions import AncestorVerdict, Condition, accepted, refused
from .filters import sticky_session
from .rules import BackendTraffic, ResolvedRoute, ServedListener

Policy = Object[BackendTrafficPolicySpec]


class TrafficPolicies:
    """`settings` by the Service's host, `said` the verdicts by policy, `verdicts` those by the policy's targets: what
    is said of a target is said to its Service, the mesh's ancestor, and to the Gateways that lead there."""

    def __init__(
        self, snapshot: Snapshot, listeners: Mapping[str, ServedListener], routes: Mapping[str, ResolvedRoute]
    ) -> None:
        self._snapshot = snapshot
        self.reads: ServiceReads = {}
        self.settings: dict[str, BackendTraffic] = {}
        self.verdicts: dict[str, tuple[Condition, ...]] = {}
        self.said: dict[str, tuple[AncestorVerdict, ...]] = {}
        policies = snapshot.backend_traffic_policies.values()
        self._gateways = gateways_by_host(listeners, routes) if policies else {}
        for item in sorted(policies, key=lambda entry: (entry.meta.created, entry.meta.key)):
            self._judge(item)

    def _judge(self, item: Policy) -> None:
        """The oldest policy of a target counts, and counts whole (GEP-713)."""
        verdicts = tuple(self._attach(item, ref) for ref in item.spec.target_refs)
        self.verdicts[item.meta.key] = verdicts
        services: list[AncestorVerdict] = []
        gateways: dict[str, Condition] = {}
        for ref, verdict in zip(item.spec.target_refs, verdicts, strict=True):
            place = f"{item.meta.namespace}/{ref.name}"
            if not ref.group and ref.kind == "Service":
                services.append(AncestorVerdict(place, MESH_CONTROLLER, (verdict,), "Service"))
            for gateway in self._gateways.get(self._host(item, ref), ()):
                if gateway not in gateways or verdict.status:
                    gateways[gateway] = verdict
        found = [AncestorVerdict(name, GATEWAY_CONTROLLER, (gateways[name],)) for name in sorted(gateways)]
        self.said[item.meta.key] = (*services, *found)[:MAX_ANCESTORS]

    def _attach(self, item: Policy, ref: LocalObjectReference) -> Condition:
        if ref.group or ref.kind != "Service":
            return refused("Invalid", f"{ref.kind} {ref.name} is not a kind of target; right is a Service")
        host = self._host(item, ref)
        services = self.reads[host] = self._snapshot.services.get(host)
        if not any(one.kind == "Service" for one in services or ()):
            return refused("TargetNotFound", f"there is no Service {ref.name} in {item.meta.namespace}")
        older = self.settings.get(host)
        if older is not None:
            return refused("Conflicted", f"an older policy, {older.owner.key}, has Service {ref.name}")
        owner = Owner(kind=item.kind, namespace=item.meta.namespace, name=item.meta.name, location=item.location)
        wish = item.spec.session_persistence
        self.settings[host] = BackendTraffic(
            owner=owner,
            retry_budget=budget_of(item.spec.retry_constraint),
            session=sticky_session(wish, f"{owner}") if wish is not None else None,
        )
        return accepted()

    def _host(self, item: Policy, ref: LocalObjectReference) -> str:
        return f"{ref.name}.{item.meta.namespace}.svc.{self._snapshot.mesh.cluster_domain}"


def budget_of(constraint: RetryConstraint | None) -> RetryBudgetPolicy | None:
    """The least rate is brought to the budget's interval, as Finagle's reserve is."""
    if constraint is None:
        return None
    interval = seconds(constraint.budget.interval)
    rate = constraint.min_retry_rate
    return RetryBudgetPolicy(
        percent=float(constraint.budget.percent),
        min_concurrency=int(rate.count * interval / seconds(rate.interval)),
        interval=interval,
        begun=True,
    )
