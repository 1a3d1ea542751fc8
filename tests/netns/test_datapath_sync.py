"""The kernel's service maps always equal those made from scratch, and a full one leaves a service out as a whole."""

import random

import pytest
from tests.netns.conftest import BPF_DIR, View

from nodemesh.datapath import loader
from nodemesh.datapath.maps import BACKEND_KEY, LAYOUT, Backend, EntryMode, Maps, pack_address
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.plan import Plan, Planner
from nodemesh.datapath.sync import ServiceMaps
from nodemesh.datapath.uninstall import uninstall
from nodemesh.registry.snapshot import Endpoint, Protocol, Service
from nodemesh.routing import frontend as routing
from nodemesh.routing.decision import Cluster, Route, WeightedCluster
from nodemesh.routing.frontend import Frontend


def service(number, mode, endpoints=0, networks=()):
    """Service `number` on two addresses, with so many endpoints."""
    addresses = (f"10.96.1.{number}", f"fd00::{number}", *networks)
    cluster = Cluster(
        name="c",
        key="c",
        host="h",
        port=80,
        endpoints=tuple(Endpoint(address=f"10.244.{number}.{one}", port=80) for one in range(endpoints)),
    )
    return Frontend(
        addresses=addresses,
        port=80,
        protocol=Protocol.TCP,
        service=Service(host=f"s{number}.default.svc.cluster.local", name=f"s{number}", namespace="default"),
        mode=mode,
        tcp=Route(destinations=(WeightedCluster(cluster=cluster, cluster_name="c"),), total_weight=100),
    )


@pytest.fixture(scope="module")
def small(node):
    """Maps with room for little."""
    pins = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-small"), LAYOUT)
    loader.load(BPF_DIR, pins, {"services": 16, "networks": 4, "backends": 32})
    with Maps(pins) as maps:
        yield maps
    uninstall(pins)


@pytest.fixture
def service_maps(small):
    found = ServiceMaps(small)
    yield found
    ServiceMaps(small).apply(Plan())
    for name in ("services", "networks", "backends"):
        assert list(small[name].keys()) == []


def in_kernel(maps):
    return ServiceMaps(maps).content


def same(content, wanted):
    return content.entries == wanted.entries and content.backends == wanted.backends


def test_any_sequence_of_changes_ends_where_a_start_from_scratch_would(small, service_maps):
    """RC-14: adds, updates and deletes, and now and then an agent that starts anew."""
    draw = random.Random(4711)
    for _ in range(60):
        views = []
        for number in range(draw.randint(1, 2)):
            chosen = draw.sample(range(4), draw.randint(0, 2))
            views.append(
                (
                    number,
                    View(
                        *(
                            service(
                                one,
                                draw.choice(list(routing.Mode)),
                                draw.randint(0, 5),
                                ("10.200.0.0/16",) if draw.random() < 0.2 else (),
                            )
                            for one in chosen
                        )
                    ),
                )
            )
        wanted = Planner().plan(views)
        assert service_maps.apply(wanted).passed == ()
        assert same(in_kernel(small), wanted)
        assert not service_maps.apply(wanted).written
        if draw.random() < 0.2:
            service_maps = ServiceMaps(small)


def test_services_beyond_the_maps_room_pass_as_a_whole(small, service_maps):
    """RC-15: ten services with two addresses each, room for eight."""
    wanted = Planner().plan([(0, View(*(service(number, routing.Mode.PROXY) for number in range(10))))])
    applied = service_maps.apply(wanted)
    assert len(applied.passed) == 2
    content = in_kernel(small)
    assert len(content.entries) == 16
    owners = [wanted.owners[key] for key in content.entries]
    assert all(owners.count(owner) == 2 and owner not in applied.passed for owner in owners)


def test_room_that_is_made_is_used_by_the_next_plan(small, service_maps):
    service_maps.apply(Planner().plan([(0, View(*(service(number, routing.Mode.PROXY) for number in range(10))))]))
    fewer = Planner().plan([(0, View(*(service(number, routing.Mode.PROXY) for number in range(2, 10))))])
    assert service_maps.apply(fewer).passed == ()
    assert same(in_kernel(small), fewer)


def test_a_service_whose_endpoints_find_no_room_passes_and_keeps_no_old_entry(small, service_maps):
    """RC-15."""
    first = Planner().plan([(0, View(*[service(1, routing.Mode.KERNEL, 20), service(2, routing.Mode.PROXY)]))])
    assert service_maps.apply(first).passed == ()
    both = Planner().plan([(0, View(*[service(1, routing.Mode.KERNEL, 40), service(2, routing.Mode.KERNEL, 3)]))])
    assert service_maps.apply(both).passed == ("s1.default.svc.cluster.local:80",)
    content = in_kernel(small)
    assert {entry.mode for entry in content.entries.values()} == {EntryMode.KERNEL}
    assert {both.owners[key] for key in content.entries} == {"s2.default.svc.cluster.local:80"}
    assert sum(map(len, content.backends.values())) == 3


def test_a_change_that_needs_the_old_ones_room_is_made_in_the_second_go(small, service_maps):
    for endpoints in (20, 25):
        wanted = Planner().plan(
            [(0, View(*[service(1, routing.Mode.KERNEL, endpoints), service(2, routing.Mode.PROXY)]))]
        )
        assert service_maps.apply(wanted).passed == ()
    assert same(in_kernel(small), wanted)


def test_a_set_that_a_dying_agent_left_half_written_goes(small, service_maps):
    small["backends"].update(BACKEND_KEY.pack(99, 0), Backend(pack_address("10.0.0.1"), 80).pack())
    successor = ServiceMaps(small)
    successor.apply(Plan())
    assert list(small["backends"].keys()) == []
