"""How endpoints are chosen among: a DestinationRule's load balancer, with what the Service says beside it."""

from __future__ import annotations

from msgspec.structs import replace

from ..config.annotations import LOAD_BALANCER_ANNOTATION, LoadBalancerWish
from ..config.destinationrule import ConsistentHashLB, LoadBalancerSettings, SimpleLB
from ..registry.snapshot import HTTP_PROTOCOLS, Protocol, Service
from .decision import Algorithm, CookieAttribute, HashPolicy, LoadBalancer, Warmup

#: What a simple load balancer's name means; LEAST_CONN is LEAST_REQUEST's old name.
SIMPLE = {
    SimpleLB.UNSPECIFIED: Algorithm.LEAST_REQUEST,
    SimpleLB.LEAST_CONN: Algorithm.LEAST_REQUEST,
    SimpleLB.LEAST_REQUEST: Algorithm.LEAST_REQUEST,
    SimpleLB.ROUND_ROBIN: Algorithm.ROUND_ROBIN,
    SimpleLB.RANDOM: Algorithm.RANDOM,
    SimpleLB.PASSTHROUGH: Algorithm.PASSTHROUGH,
}


def balancing_of(settings: LoadBalancerSettings | None, service: Service, protocol: Protocol) -> LoadBalancer:
    """The rule's, with what the service's annotation says where that is Istio's default. Latency is that of requests:
    connections of other protocols have none."""
    balancer = load_balancer_of(settings)
    if balancer.algorithm is not Algorithm.LEAST_REQUEST or protocol not in HTTP_PROTOCOLS:
        return balancer
    if service.annotations.get(LOAD_BALANCER_ANNOTATION) != LoadBalancerWish.PEAK_EWMA:
        return balancer
    return replace(balancer, algorithm=Algorithm.PEAK_EWMA)


def load_balancer_of(settings: LoadBalancerSettings | None) -> LoadBalancer:
    if settings is None:
        return LoadBalancer()
    warmup = None
    given = settings.warmup
    if given is not None and given.duration is not None:
        warmup = Warmup(
            duration=given.duration / 1000,
            minimum_percent=10.0 if given.minimum_percent is None else given.minimum_percent,
            aggression=1.0 if given.aggression is None else given.aggression,
        )
    elif settings.warmup_duration_secs is not None:
        warmup = Warmup(duration=settings.warmup_duration_secs / 1000)
    if settings.consistent_hash is not None:
        return consistent_hash_of(settings.consistent_hash)
    return LoadBalancer(algorithm=SIMPLE[settings.simple or SimpleLB.UNSPECIFIED], warmup=warmup)


def consistent_hash_of(settings: ConsistentHashLB) -> LoadBalancer:
    if settings.maglev is not None:
        balancer = LoadBalancer(algorithm=Algorithm.MAGLEV, table_size=settings.maglev.table_size or 65537)
    else:
        size = settings.minimum_ring_size
        if settings.ring_hash is not None and settings.ring_hash.minimum_ring_size is not None:
            size = settings.ring_hash.minimum_ring_size
        balancer = LoadBalancer(algorithm=Algorithm.RING_HASH, ring_size=1024 if size is None else size)
    return replace(balancer, hash=hash_policy_of(settings))


def hash_policy_of(settings: ConsistentHashLB) -> HashPolicy | None:
    if settings.http_header_name:
        return HashPolicy(header=settings.http_header_name.lower().encode())
    if settings.http_query_parameter_name:
        return HashPolicy(query=settings.http_query_parameter_name.encode())
    if settings.use_source_ip:
        return HashPolicy(source_ip=True)
    cookie = settings.http_cookie
    if cookie is None:
        return None
    return HashPolicy(
        cookie=(cookie.name or "").encode(),
        cookie_path=(cookie.path or "").encode(),
        cookie_ttl=None if cookie.ttl is None else cookie.ttl / 1000,
        cookie_attributes=tuple(
            CookieAttribute(name=attribute.name or "", value=attribute.value or "") for attribute in cookie.attributes
        ),
    )
