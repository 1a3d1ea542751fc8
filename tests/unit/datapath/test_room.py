"""Maps that hold less than is claimed: whose claims give way."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.meshes import make, service

from nodemesh.datapath.plan import Planner
from nodemesh.datapath.room import fair_share, fitting
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.views import Views

ROOM = {"services": 60, "networks": 30, "backends": 200}


def entry(name, namespace, addresses, ports=1, **spec):
    named = [{"number": 1000 + n, "name": f"tcp-{n}", "protocol": "TCP"} for n in range(ports)]
    given = {"hosts": [f"{name}.example"], "addresses": addresses, "ports": named, "resolution": "STATIC", **spec}
    return make("ServiceEntry", name, given, namespace=namespace)


def addresses(number, count):
    return [f"192.0.{number}.{n}" for n in range(count)]


def plan_of(*objects):
    services = [service(f"s{n}", f"10.96.0.{n}", (80, "tcp")) for n in range(10)]
    view = Views(compile_tables(Store().apply("t", [*services, *objects]))).for_client(Client(namespace="default"))
    return Planner().plan([(0, view)])


def hosts_in(plan):
    return Counter(plan.owners[key].rpartition(":")[0] for key in plan.entries)


GREEDY = entry("greedy", "tenant", addresses(1, 40), ports=10)
MODEST = entry("modest", "other", addresses(2, 4), ports=3)


def test_a_plan_with_room_is_left_as_it_is():
    plan = plan_of(MODEST)
    assert fitting(plan, ROOM) == (plan, ())


@pytest.mark.parametrize("more", [[], [entry("again", "tenant", addresses(3, 1))]])
def test_the_claims_of_who_has_most_give_way_and_nobody_elses(more):
    kept, out = fitting(plan_of(GREEDY, MODEST, *more), ROOM)
    found = hosts_in(kept)
    assert len(kept.entries) <= ROOM["services"] and {owner.partition(":")[0] for owner in out} == {"greedy.example"}
    assert found["modest.example"] == 12 and sum(found[f"s{n}.default.svc.cluster.local"] for n in range(10)) == 10


def test_networks_have_their_own_room():
    networks = [f"10.{n}.0.0/16" for n in range(20)]
    kept, out = fitting(plan_of(entry("wide", "tenant", networks, ports=4), MODEST), ROOM)
    assert hosts_in(kept)["modest.example"] == 12 and hosts_in(kept)["wide.example"] == 20
    assert len(out) == 3, "port by port, each as a whole"


def test_so_do_endpoints():
    endpoints = [{"address": f"10.9.0.{n}"} for n in range(250)]
    kept, out = fitting(plan_of(entry("many", "tenant", ["192.0.2.9"], endpoints=endpoints), MODEST), ROOM)
    assert out == ("many.example:1000",) and sum(map(len, kept.backends.values())) <= ROOM["backends"]
    assert hosts_in(kept)["modest.example"] == 12


def test_what_is_no_ones_claim_stays():
    plan = plan_of()
    assert fitting(plan, {"services": 3, "networks": 0, "backends": 0}) == (plan, ())


def test_an_address_that_a_service_comes_to_have_is_no_claim_any_more():
    planner, store = Planner(), Store()
    tables = compile_tables(store.apply("t", [entry("taken", "default", ["10.96.0.1"])]))
    first = planner.plan([(0, Views(tables).for_client(Client(namespace="default")))])
    assert set(first.claimants.values()) == {"default"}
    tables = compile_tables(store.apply("t", [service("s", "10.96.0.1", (1000, "tcp"))]), tables)
    second = planner.plan([(0, Views(tables).for_client(Client(namespace="default")))])
    assert {second.owners[key] for key in second.claimants} <= {"taken.example:1000"}


def test_what_passes_instead_for_those_who_do_not_see_it_is_part_of_the_claim():
    store = Store()
    tables = compile_tables(store.apply("t", [entry("greedy", "tenant", addresses(1, 40), ports=3, exportTo=["."])]))
    views = [Views(tables).for_client(Client(namespace=name)) for name in ("tenant", "other")]
    plan = Planner().plan(list(enumerate(views)))
    assert {key.view for key in plan.entries} == {0, 1} and plan.claimants.keys() == plan.entries.keys()


@given(st.lists(st.integers(0, 50), max_size=6), st.integers(-20, 200))
def test_the_share_is_the_most_that_all_have_room_for(uses, room):
    share = fair_share(uses, room)
    taken = sum(min(use, share) for use in uses)
    assert taken <= max(room, 0)
    if any(use > share for use in uses) and room >= 0:
        assert sum(min(use, share + 1) for use in uses) > room
