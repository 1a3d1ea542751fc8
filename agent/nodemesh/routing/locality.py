"""Where endpoints lie as one client sees them: failover, distribution and traffic distribution as `Priorities`.

Istio's rules (its Locality Load Balancing pages and DestinationRule's LocalityLoadBalancerSetting): the
DestinationRule's setting comes before the Service's trafficDistribution, that before the mesh's. `distribute` draws
among localities by weight; failover orders endpoints into priorities and, unless trafficDistribution asks for it,
applies only together with outlier detection, since without ejections no priority would ever be left."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..config.destinationrule import Distribute, LocalityFailover, LocalityLoadBalancerSetting
from ..registry.snapshot import Endpoint, Locality
from .client import Client
from .decision import Priorities

REGION = "topology.kubernetes.io/region"
ZONE = "topology.kubernetes.io/zone"
SUBZONE = "topology.istio.io/subzone"
NETWORK = "topology.istio.io/network"
CLUSTER = "topology.istio.io/cluster"
HOSTNAME = "kubernetes.io/hostname"

#: Labels that name a place: they are read from the endpoint's own place even where no pod label repeats them.
PLACE: dict[str, Callable[[Endpoint], str]] = {
    REGION: lambda endpoint: endpoint.locality.region,
    ZONE: lambda endpoint: endpoint.locality.zone,
    SUBZONE: lambda endpoint: endpoint.locality.subzone,
    NETWORK: lambda endpoint: endpoint.network,
    CLUSTER: lambda endpoint: endpoint.cluster,
    HOSTNAME: lambda endpoint: endpoint.node,
}

#: trafficDistribution -> the failoverPriority that it stands for.
TRAFFIC_DISTRIBUTION: dict[str, tuple[str, ...]] = {
    "PreferSameZone": (NETWORK, REGION, ZONE, SUBZONE),
    "PreferSameNode": (NETWORK, REGION, ZONE, SUBZONE, HOSTNAME),
}

OTHER_REGION = 3  # the distance of an endpoint in another region
NOT_FAILED_OVER_TO = 4  # the distance of one in a region that `failover` does not name


def priorities(
    endpoints: Sequence[Endpoint], client: Client, chosen: LocalityLoadBalancerSetting | None
) -> Priorities | None:
    """How one client is to spread its load over `endpoints` by the setting in force; None where they are equal."""
    if chosen is None:
        return None
    if chosen.distribute:
        return distributed(endpoints, client.locality, chosen.distribute)
    ranks = [0] * len(endpoints)
    if chosen.failover_priority:
        place = as_endpoint(client)
        ranks = [label_rank(place, endpoint, chosen.failover_priority) for endpoint in endpoints]
    if by_distance(chosen):
        # Regional failover refines the order that the labels gave: five distances fit between two ranks.
        ranks = [
            rank * (NOT_FAILED_OVER_TO + 1) + distance(client.locality, endpoint.locality, chosen.failover)
            for rank, endpoint in zip(ranks, endpoints, strict=True)
        ]
    return levelled(ranks)


def setting_in_force(
    setting: LocalityLoadBalancerSetting | None,
    *,
    mesh: LocalityLoadBalancerSetting | None = None,
    traffic_distribution: str = "",
    outlier_detection: bool = False,
) -> LocalityLoadBalancerSetting | None:
    """The setting that spreads the load; None where all endpoints are equal.

    `setting` is the DestinationRule's, `mesh` MeshConfig's (None: enabled, as Istio's default), `outlier_detection`
    says whether the DestinationRule has any."""
    if setting is not None:
        chosen, failover = setting, outlier_detection
    elif labels := TRAFFIC_DISTRIBUTION.get(traffic_distribution):
        chosen, failover = LocalityLoadBalancerSetting(failover_priority=labels), True
    else:
        chosen, failover = mesh or LocalityLoadBalancerSetting(), outlier_detection
    if chosen.enabled is False or not (chosen.distribute or failover):
        return None
    return chosen


def by_distance(setting: LocalityLoadBalancerSetting) -> bool:
    """Whether failover goes by region, zone and subzone."""
    return bool(setting.failover) or not setting.failover_priority


def client_part(setting: LocalityLoadBalancerSetting | None, client: Client) -> str:
    """What `priorities` reads of the client: clients that are equal in this have equal priorities."""
    if setting is None:
        return ""
    if setting.distribute:
        return str(client.locality)
    place = as_endpoint(client)
    parts = [str(client.locality)] if by_distance(setting) else []
    parts += [f"{key}={label(place, key)}" for key in setting.failover_priority if "=" not in key]
    return ",".join(parts)


def as_endpoint(client: Client) -> Endpoint:
    """The client as if it were dialled, to compare its labels and place with those of endpoints."""
    return Endpoint(
        address="", port=0, labels=client.labels, locality=client.locality, node=client.node, network=client.network
    )


def distance(client: Locality, endpoint: Locality, failover: Sequence[LocalityFailover]) -> int:
    """0 same subzone, 1 same zone, 2 same region, 3 elsewhere; 4 elsewhere where `failover` names another region."""
    if client.region == endpoint.region:
        if client.zone != endpoint.zone:
            return 2
        return 0 if client.subzone == endpoint.subzone else 1
    for rule in failover:
        if rule.from_ == client.region:
            return OTHER_REGION if endpoint.region == rule.to else NOT_FAILED_OVER_TO
    return OTHER_REGION


def label_rank(client: Endpoint, endpoint: Endpoint, wanted: Sequence[str]) -> int:
    """0 if all of failoverPriority's labels agree, else the more the earlier the first disagreement. `key` compares
    the client's label with the endpoint's, `key=value` the endpoint's with a fixed value."""
    for index, entry in enumerate(wanted):
        key, fixed, value = entry.partition("=")
        if label(endpoint, key) != (value if fixed else label(client, key)):
            return len(wanted) - index
    return 0


def label(endpoint: Endpoint, key: str) -> str:
    value = endpoint.labels.get(key, "")
    place = PLACE.get(key)
    return place(endpoint) or value if place is not None else value


def levelled(ranks: Sequence[int]) -> Priorities | None:
    """Levels without gaps; None where there is but one."""
    levels: dict[int, list[int]] = {}
    for index, rank in enumerate(ranks):
        levels.setdefault(rank, []).append(index)
    if len(levels) < 2:
        return None
    return Priorities(levels=tuple(tuple(levels[rank]) for rank in sorted(levels)))


def distributed(endpoints: Sequence[Endpoint], client: Locality, rules: Sequence[Distribute]) -> Priorities | None:
    """The first rule whose `from` matches the client decides: each of its `to` patterns has its weight, divided among
    the localities that match it by their endpoints' weights; endpoints that no pattern matches get nothing."""
    rule = next((rule for rule in rules if matches(client, rule.from_ or "")), None)
    if rule is None:
        return None
    places: dict[Locality, list[int]] = {}
    for index, endpoint in enumerate(endpoints):
        places.setdefault(endpoint.locality, []).append(index)
    shares: list[tuple[int, tuple[int, ...]]] = []
    for pattern, weight in rule.to.items():
        matched = [place for place in places if matches(place, pattern)]
        weights = [sum(endpoints[index].weight for index in places[place]) for place in matched]
        total = sum(weights)
        for place, own in zip(matched, weights, strict=True):
            share = -(-own * weight // total) if total else 0  # rounded up, as Istio does
            shares.append((share, tuple(places.pop(place))))
    level = sorted(index for share, indices in shares if share for index in indices)
    return Priorities(levels=(tuple(level),), shares=tuple(share for share in shares if share[0]))


def matches(place: Locality, pattern: str) -> bool:
    """Whether `region/zone/subzone` matches; `*` or a missing part matches any."""
    if pattern == "*":
        return True
    region, _, rest = pattern.partition("/")
    zone, _, subzone = rest.partition("/")
    return region in ("*", place.region) and zone in ("", "*", place.zone) and subzone in ("", "*", place.subzone)
