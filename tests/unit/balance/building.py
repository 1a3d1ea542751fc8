"""Clusters, endpoints and a virtual clock for the tests of balance."""

from nodemesh.registry.snapshot import Endpoint, Health, Locality
from nodemesh.routing.decision import Algorithm, Cluster, LoadBalancer


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now

    def advance(self, seconds):
        self.now += seconds


def endpoint(number, *, weight=1, health=Health.READY, locality="", **more):
    region, zone, subzone = (locality.split("/") + ["", "", ""])[:3]
    return Endpoint(
        address=f"10.0.{number // 250}.{number % 250}",
        port=8080,
        weight=weight,
        health=health,
        locality=Locality(region=region, zone=zone, subzone=subzone),
        **more,
    )


def cluster(endpoints, algorithm=Algorithm.LEAST_REQUEST, *, balancer=None, key="reviews", **more):
    """`endpoints`: a number of equal ones, or a list."""
    if isinstance(endpoints, int):
        endpoints = [endpoint(number) for number in range(endpoints)]
    return Cluster(
        name="outbound|8080||reviews.default.svc.cluster.local",
        key=key,
        host="reviews.default.svc.cluster.local",
        port=8080,
        endpoints=tuple(endpoints),
        load_balancer=LoadBalancer(algorithm=algorithm, **(balancer or {})),
        **more,
    )
