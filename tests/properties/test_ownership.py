"""Whose an address is, change by change, is what it is when all is looked at at once."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.meshes import make, pod, service
from tests.unit.routing.claimed import entry

from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables

ADDRESSES = [f"10.1.0.{number}" for number in range(1, 5)]
NAMESPACES = ["a", "b"]

places = st.tuples(st.sampled_from(ADDRESSES), st.sampled_from(NAMESPACES), st.integers(0, 1))


def listed(place: tuple[str, str, int]) -> list[Any]:
    """A headless Service with an endpoint that somebody has written down."""
    address, namespace, number = place
    ports = [{"name": "http", "port": 80}]
    labels = {"kubernetes.io/service-name": f"listed-{number}"}
    piece = {"addressType": "IPv4", "ports": ports, "endpoints": [{"addresses": [address]}]}
    return [
        make("Service", f"listed-{number}", {"clusterIP": "None", "ports": ports}, namespace=namespace),
        make("EndpointSlice", f"listed-{number}", piece, namespace=namespace, labels=labels),
    ]


def owner(place: tuple[str, str, int]) -> list[Any]:
    address, namespace, number = place
    made = pod(f"pod-{number}", address, {"app": "x"}, namespace=namespace)
    if number:
        return [made]
    return [service("own", address, (80, "http"), namespace=namespace)]


def claim(place: tuple[str, str, int]) -> list[Any]:
    address, namespace, number = place
    return [entry(address if number else f"{address}/31", namespace=namespace, name=f"e{number}")]


def on_host(place: tuple[str, str, int]) -> list[Any]:
    (made,) = owner((*place[:2], 1))
    spec = msgspec.to_builtins(made.spec)
    return [make("Pod", "host", {**spec, "hostNetwork": True}, namespace=place[1])]


changes = st.lists(
    st.tuples(st.sampled_from([listed, owner, claim, on_host]), places, st.booleans()), min_size=1, max_size=12
)


@settings(max_examples=300, deadline=None)
@given(changes)
def test_change_by_change_is_all_at_once(steps):
    store, tables, held = Store(), None, {}
    for make_objects, place, goes in steps:
        objects = make_objects(place)
        if goes:
            gone = [key_of(item) for item in objects if key_of(item) in held]
            for key in gone:
                del held[key]
            snapshot = store.apply("t", removed=gone)
        else:
            held.update({key_of(item): item for item in objects})
            snapshot = store.apply("t", objects)
        tables = compile_tables(snapshot, tables)
        whole = compile_tables(Store().apply("t", list(held.values())))
        assert tables.owned == whole.owned
        assert tables.claimed_networks == whole.claimed_networks
