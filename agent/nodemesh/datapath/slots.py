"""Weighted endpoints as slots of which the kernel draws one at random or in turn: repeated by weight, evenly mixed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from hashlib import blake2b
from math import gcd, lcm, log

from ..registry.snapshot import Endpoint, Health
from ..routing.decision import Cluster, Route
from .maps import MAPPED_PREFIX, Backend, pack_address

#: Slots per set at most: weights that would need more are rounded to this many.
MAX_SLOTS = 1000

#: Slots of a set whose clients keep to their endpoints: many more than most services have endpoints, and prime.
AFFINE_SLOTS = 251

#: What a destination without endpoints gets for its share: nobody listens on port 0, so the connect is refused.
REFUSED4 = Backend(pack_address("127.0.0.1"), 0)
REFUSED6 = Backend(pack_address("::1"), 0)


def slots(
    route: Route, v4: bool, without: frozenset[Backend] = frozenset(), affine: bool = False
) -> tuple[Backend, ...]:
    """The slots of a TCP route for clients that dialled an IPv4 (`v4`) or IPv6 address. IPv4 sockets cannot reach IPv6
    endpoints; IPv6 ones reach IPv4 endpoints as ::ffff:a.b.c.d, where a cluster has no others. Endpoints in `without`
    get nothing as long as their cluster has others: a share of doubtful ones is better than a refusal.
    Of an `affine` service a slot changes hands only where its endpoint goes or a new one takes it."""
    shares: dict[Backend, int | Fraction] = {}
    refused = REFUSED4 if v4 else REFUSED6
    for destination in route.destinations:
        if destination.weight <= 0:
            continue
        weights = cluster_weights(destination.cluster, v4) if destination.cluster is not None else {}
        weights = {backend: weight for backend, weight in weights.items() if backend not in without} or weights
        total = sum(weights.values())
        if not total:
            weights, total = {refused: 1}, 1
        if len(route.destinations) == 1:
            shares = weights
            break
        for backend, weight in weights.items():
            shares[backend] = shares.get(backend, 0) + Fraction(destination.weight) * weight / total
    return rendezvous(apportion(shares)) if affine else mix(apportion(shares))


def cluster_weights(cluster: Cluster, v4: bool) -> dict[Backend, int | Fraction]:
    """Each usable endpoint's weight inside its cluster: those that are ready, or while there is none, those that end
    and serve until then, as kube-proxy has it."""
    return _weights_of(cluster, v4, Health.READY) or _weights_of(cluster, v4, Health.DRAINING)


def _weights_of(cluster: Cluster, v4: bool, health: Health) -> dict[Backend, int | Fraction]:
    """Those of the first priority that has any, by locality shares where `distribute` gives them."""
    if cluster.priorities is None:
        return _weights(cluster.endpoints, v4, health)
    shared: dict[Backend, int | Fraction] = {}
    for weight, indices in cluster.priorities.shares:
        group = _weights((cluster.endpoints[index] for index in indices), v4, health)
        total = sum(group.values())
        for backend, own in group.items():
            shared[backend] = shared.get(backend, 0) + Fraction(weight) * own / total
    if shared:
        return shared
    for level in cluster.priorities.levels:
        weights = _weights((cluster.endpoints[index] for index in level), v4, health)
        if weights:
            return weights
    return {}


def _weights(endpoints: Iterable[Endpoint], v4: bool, health: Health) -> dict[Backend, int | Fraction]:
    """By address and port; host names have no place in the kernel."""
    native: dict[Backend, int | Fraction] = {}
    mapped: dict[Backend, int | Fraction] = {}
    for endpoint in endpoints:
        if endpoint.health is not health or endpoint.weight <= 0:
            continue
        try:
            address = pack_address(endpoint.address)
        except ValueError:
            continue
        side = native if address.startswith(MAPPED_PREFIX) == v4 else mapped
        backend = Backend(address, endpoint.port)
        side[backend] = side.get(backend, 0) + endpoint.weight
    return native or ({} if v4 else mapped)


def apportion(shares: Mapping[Backend, int | Fraction], limit: int = MAX_SLOTS) -> dict[Backend, int]:
    """Whole slots by share: exact if `limit` allows, else by largest remainder with at least one each (as far as
    `limit` goes)."""
    if not shares:
        return {}
    scale = lcm(*(share.denominator for share in shares.values()))
    whole = {backend: int(share * scale) for backend, share in shares.items()}
    common = gcd(*whole.values())
    exact = {backend: count // common for backend, count in whole.items()}
    total = sum(exact.values())
    if total <= limit:
        return exact
    if len(exact) >= limit:
        heaviest = sorted(exact, key=lambda backend: (-exact[backend], backend))
        return dict.fromkeys(heaviest[:limit], 1)
    # One slot is everybody's; the others are given by share.
    spare = limit - len(exact)
    quotas = {backend: Fraction(count * spare, total) for backend, count in exact.items()}
    counts = {backend: 1 + int(quota) for backend, quota in quotas.items()}
    by_remainder = sorted(quotas, key=lambda backend: (int(quotas[backend]) - quotas[backend], backend))
    for backend in by_remainder[: limit - sum(counts.values())]:
        counts[backend] += 1
    return counts


def mix(counts: Mapping[Backend, int]) -> tuple[Backend, ...]:
    """Each backend `count` times, spread evenly, so that taking turns alternates; the same for equal counts."""
    places = [((2 * number + 1) / count, backend) for backend, count in counts.items() for number in range(count)]
    return tuple(backend for _, backend in sorted(places))


def rendezvous(counts: Mapping[Backend, int]) -> tuple[Backend, ...]:
    """Each slot's backend by weighted rendezvous hashing (Schindelhauer, Schomaker: "Weighted Distributed Hash Tables",
    SPAA 2005): the one that scores best there, whoever the others are."""
    if len(counts) < 2:
        return tuple(counts)
    named = [(set_name((backend,)), count, backend) for backend, count in sorted(counts.items())]
    return tuple(
        max((-count / log(_uniform(name, slot)), backend) for name, count, backend in named)[1]
        for slot in range(AFFINE_SLOTS)
    )


def _uniform(name: int, slot: int) -> float:
    """Between 0 and 1, neither of them: the finaliser of MurmurHash3 over both."""
    mixed = (name ^ slot * 0x9E3779B97F4A7C15) & 0xFFFFFFFFFFFFFFFF
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        mixed = (mixed ^ mixed >> 33) * factor & 0xFFFFFFFFFFFFFFFF
    return ((mixed ^ mixed >> 33) % 2**52 + 0.5) / 2**52


def set_name(slots_: tuple[Backend, ...]) -> int:
    """A set's name: a hash of its slots, never 0."""
    digest = blake2b(b"".join(backend.pack() for backend in slots_), digest_size=8).digest()
    return int.from_bytes(digest, "little") or 1
