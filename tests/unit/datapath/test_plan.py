"""The wanted contents of the service maps, and the way from one to another."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nodemesh.config.meshconfig import FailurePolicy
from nodemesh.datapath.maps import Backend, EntryMode, NetworkKey, ServiceEntry, ServiceFlag, ServiceKey, pack_address
from nodemesh.datapath.places import exchanged
from nodemesh.datapath.plan import Plan, Planner, diff
from nodemesh.registry.snapshot import Endpoint, Protocol, Service
from nodemesh.routing import frontend as routing
from nodemesh.routing.decision import Algorithm, Cluster, LoadBalancer, Route, WeightedCluster
from nodemesh.routing.frontend import Frontend

PROXY = ServiceEntry(EntryMode.PROXY)
PASS = ServiceEntry(EntryMode.PASS)


class View:
    def __init__(self, *frontends):
        self._frontends = frontends

    def frontends(self):
        return self._frontends


def frontend(*addresses, port=80, mode=routing.Mode.PROXY, **fields):
    return Frontend(addresses=addresses, port=port, protocol=Protocol.HTTP, mode=mode, **fields)


def kernel(address, *endpoints, algorithm=Algorithm.RANDOM):
    cluster = Cluster(
        name="c",
        key="c",
        host="h",
        port=80,
        endpoints=tuple(Endpoint(address=one, port=8080) for one in endpoints),
        load_balancer=LoadBalancer(algorithm=algorithm),
    )
    tcp = Route(destinations=(WeightedCluster(cluster=cluster, cluster_name="c"),), total_weight=100)
    return frontend(address, mode=routing.Mode.KERNEL, tcp=tcp)


def key(address, view=0, port=80):
    return ServiceKey(view, pack_address(address), port)


def found_for(entries, view, address, port=80):
    """What the kernel would find (bpf/include/translate.h's service_find)."""
    packed = int.from_bytes(pack_address(address), "big")
    for one in (key(address, view, port), key(address, 0, port)):
        if one in entries:
            return entries[one]
    networks = [
        (one.port != 0, one.prefix, entry)
        for one, entry in entries.items()
        if isinstance(one, NetworkKey) and one.view == view and one.port in (0, port)
        if packed >> 128 - one.prefix == int.from_bytes(one.address, "big") >> 128 - one.prefix
    ]
    return max(networks, default=(0, 0, PASS))[2]


def test_every_address_of_a_frontend_has_an_entry():
    made = Planner().plan([(0, View(frontend("10.96.0.1", "fd00::1")))])
    assert made.entries == {key("10.96.0.1"): PROXY, key("fd00::1"): PROXY}
    assert len(set(made.owners.values())) == 1


def test_failing_closed_is_the_services_own_setting():
    made = Planner().plan([(0, View(frontend("10.96.0.1", failure_policy=FailurePolicy.CLOSED)))])
    assert made.entries[key("10.96.0.1")].flags == ServiceFlag.FAIL_CLOSED


def test_kernel_mode_names_its_set_by_its_slots():
    made = Planner().plan(
        [(0, View(kernel("10.96.0.1", "10.1.0.1", "10.1.0.2"), kernel("10.96.0.2", "10.1.0.2", "10.1.0.1")))]
    )
    first, second = made.entries[key("10.96.0.1")], made.entries[key("10.96.0.2")]
    assert (first.mode, first.slots) == (EntryMode.KERNEL, 2)
    assert first.backends == second.backends
    assert list(made.backends) == [first.backends]
    assert (
        Planner().plan([(0, View(kernel("10.96.0.1", "10.1.0.1")))]).entries[key("10.96.0.1")].backends
        != first.backends
    )


def test_round_robin_is_a_flag():
    made = Planner().plan([(0, View(kernel("10.96.0.1", "10.1.0.1", algorithm=Algorithm.ROUND_ROBIN)))])
    assert made.entries[key("10.96.0.1")].flags == ServiceFlag.ROUND_ROBIN


def test_passing_needs_no_entry_except_inside_a_network_that_does_not_pass():
    passing = frontend("10.96.0.1", mode=routing.Mode.PASS)
    assert Planner().plan([(0, View(passing))]).entries == {}
    made = Planner().plan([(0, View(passing, frontend("10.96.0.0/16")))])
    assert made.entries[key("10.96.0.1")] == PASS


def test_networks_and_every_port():
    made = Planner().plan(
        [(0, View(frontend("10.96.0.7/16"), frontend("0.0.0.0/0", port=0), frontend("10.1.1.1", port=0)))]
    )
    assert made.entries == {
        NetworkKey(0, pack_address("10.96.0.0"), 112, 80): PROXY,
        NetworkKey(0, pack_address("0.0.0.0"), 96, 0): PROXY,
        NetworkKey(0, pack_address("10.1.1.1"), 128, 0): PROXY,
    }


def test_an_ipv6_network_does_not_mean_ipv4_addresses():
    made = Planner().plan([(0, View(frontend("::/0", port=0)))]).entries
    assert found_for(made, 0, "fd00::1") == PROXY
    assert found_for(made, 0, "10.96.0.1") == PASS
    both = Planner().plan([(0, View(frontend("::/0", "0.0.0.0/0", port=0)))]).entries
    assert found_for(both, 0, "10.96.0.1") == PROXY


def test_udp_and_host_names_have_no_entries():
    """RC-20."""
    udp = Frontend(addresses=("10.96.0.10",), port=53, protocol=Protocol.UDP)
    assert Planner().plan([(0, View(udp, frontend("db.example")))]).entries == {}


def test_the_first_of_several_frontends_counts():
    made = Planner().plan(
        [(0, View(frontend("10.96.0.1", failure_policy=FailurePolicy.CLOSED), frontend("10.96.0.1")))]
    )
    assert made.entries[key("10.96.0.1")].flags == ServiceFlag.FAIL_CLOSED


def test_the_kubernetes_api_is_never_taken_over_at_any_port():
    """RC-02: neither its virtual address nor its endpoints, even inside a captured network."""
    service = Service(
        host="kubernetes.default.svc.cluster.local",
        name="kubernetes",
        namespace="default",
        endpoints={443: (Endpoint(address="192.168.1.1", port=6443),)},
    )
    api = frontend("10.96.0.1", port=443, service=service)
    made = Planner().plan([(0, View(api, frontend("0.0.0.0/0", port=0)))]).entries
    assert found_for(made, 0, "10.96.0.1", 443) == PASS
    assert found_for(made, 0, "192.168.1.1", 6443) == PASS
    assert found_for(made, 0, "192.168.1.2", 6443) == PROXY


def test_equal_views_are_written_once_and_others_where_they_differ():
    all_see = View(frontend("10.96.0.1"), frontend("10.96.0.2"))
    one_sees = View(frontend("10.96.0.1"), kernel("10.96.0.3", "10.1.0.1"))
    made = Planner().plan([(0, all_see), (1, all_see), (2, one_sees)]).entries
    assert {one.view for one in made} == {0, 2}
    assert made[key("10.96.0.2", 2)] == PASS
    assert made[key("10.96.0.3", 2)].mode == EntryMode.KERNEL
    assert key("10.96.0.1", 2) not in made


def test_what_only_others_see_falls_into_the_views_own_network():
    made = (
        Planner()
        .plan(
            [(0, View(frontend("10.96.0.1"))), (1, View(frontend("10.0.0.0/8", failure_policy=FailurePolicy.CLOSED)))]
        )
        .entries
    )
    assert made[key("10.96.0.1", 1)] == made[NetworkKey(1, pack_address("10.0.0.0"), 104, 80)]


def test_reverse_leads_endpoints_to_the_service_that_was_dialled():
    """RC-01."""
    service = Service(
        host="a", name="a", namespace="default", endpoints={80: (Endpoint(address="10.1.0.1", port=8080),)}
    )
    views = [(0, View(frontend("10.96.0.1", "fd00::1", service=service)))]
    entry = Planner().plan(views, reverse=True).entries[key("10.1.0.1", port=8080)]
    assert (entry.mode, entry.alias, entry.alias_port) == (EntryMode.PROXY, pack_address("10.96.0.1"), 80)
    assert key("10.1.0.1", port=8080) not in Planner().plan(views).entries


OUT = frozenset({Backend(pack_address("10.1.0.1"), 8080)})

addresses = st.sampled_from(["10.96.0.1", "10.96.0.2", "fd00::1", "10.96.0.0/24", "10.0.0.0/8", "::/0"])
frontends = st.one_of(
    st.builds(
        frontend,
        addresses,
        port=st.sampled_from([0, 80]),
        mode=st.sampled_from([routing.Mode.PROXY, routing.Mode.PASS]),
        failure_policy=st.sampled_from(FailurePolicy),
    ),
    st.builds(kernel, addresses, st.sampled_from(["10.1.0.1", "10.1.0.2"])),
)
views = st.lists(st.lists(frontends, max_size=4).map(lambda chosen: View(*chosen)), max_size=3).map(
    lambda several: list(enumerate(several))
)


@given(views)
def test_a_view_beside_others_finds_what_it_would_find_alone(several):
    together = Planner().plan(several).entries
    for number, view in several:
        alone = Planner().plan([(0, view)]).entries
        for address in ("10.96.0.1", "10.96.0.2", "10.96.0.9", "10.9.9.9", "fd00::1"):
            for port in (80, 81):
                assert found_for(together, number, address, port) == found_for(alone, 0, address, port)


@given(views, views)
def test_applying_the_difference_gives_what_is_wanted(before, after):
    """RC-14."""
    current, wanted = Planner().plan(before), Planner().plan(after)
    changes = diff(current, wanted)
    entries = {**current.entries, **changes.set}
    for gone in changes.delete:
        del entries[gone]
    backends = {**current.backends, **changes.backends}
    for name in changes.delete_backends:
        del backends[name]
    assert (entries, backends) == (wanted.entries, wanted.backends)
    assert not diff(wanted, wanted)
    assert bool(diff(Plan(), wanted)) == bool(wanted.entries)


def test_plans_made_one_after_the_other_equal_those_from_scratch():
    planner = Planner()
    kept, first, second = kernel("10.96.0.1", "10.1.0.1"), frontend("10.96.0.2"), kernel("10.96.0.2", "10.1.0.2")
    without = OUT
    steps = [
        ([(0, View(kept, first))], frozenset()),
        ([(0, View(kept, second)), (1, View(first))], frozenset()),
        ([(0, View(kept, second, kernel("10.96.0.3", "10.1.0.1", "10.1.0.3")))], without),
        ([(0, View(kept))], frozenset()),
    ]
    for views, out in steps:
        assert planner.plan(views, without=out) == Planner().plan(views, without=out)


@st.composite
def stories(draw):
    """Versions of several views that share what stays from one to the next."""
    pool = draw(st.lists(frontends, min_size=1, max_size=8))
    several = st.dictionaries(st.integers(0, 2), st.lists(st.sampled_from(pool), max_size=6), max_size=3)
    versions = draw(st.lists(st.tuples(several, st.booleans(), st.booleans()), min_size=2, max_size=6))
    return [
        ([(number, View(*seen)) for number, seen in views.items()], reverse, OUT if some else frozenset())
        for views, reverse, some in versions
    ]


@given(stories())
def test_a_plan_from_the_one_before_equals_the_one_from_scratch(versions):
    planner = Planner()
    for views, reverse, without in versions:
        assert planner.plan(views, reverse, without) == Planner().plan(views, reverse, without)


ids = st.lists(st.integers(0, 5), max_size=8)


@given(ids, ids)
def test_what_is_exchanged_is_what_stands_in_one_list_alone(now, before):
    assert exchanged(now, before) == (set(now) - set(before), set(before) - set(now))


def test_a_frontend_that_stays_is_not_read_again():
    planner, kept = Planner(), kernel("10.96.0.1", "10.1.0.1")
    (before,) = planner.plan([(0, View(kept))]).entries.values()
    (after,) = planner.plan([(0, View(kept))]).entries.values()
    assert after is before


def yielding(address, *endpoints, host="h"):
    made = replace(kernel(address, *endpoints), yields=True)
    (destination,) = made.tcp.destinations
    cluster = replace(destination.cluster, host=host)
    return replace(made, tcp=replace(made.tcp, destinations=(replace(destination, cluster=cluster),)))


def test_the_proxy_has_the_connections_to_restless_hosts_and_no_others():
    planner = Planner()
    views = [(0, View(yielding("10.96.0.1", "10.1.0.1"), yielding("10.96.0.2", "10.1.0.2", host="other")))]
    calm = planner.plan(views)
    restless = planner.plan(views, restless=frozenset({"h"}))
    assert restless.entries[key("10.96.0.1")] == PROXY
    assert restless.entries[key("10.96.0.2")] == calm.entries[key("10.96.0.2")]
    assert len(restless.backends) == 1
    assert restless == Planner().plan(views, restless=frozenset({"h"}))
    assert planner.plan(views) == calm == Planner().plan(views)


def test_every_view_follows_who_is_restless():
    own = yielding("10.96.0.1", "10.1.0.9")
    views = [(0, View(yielding("10.96.0.1", "10.1.0.1"))), (1, View(own))]
    planner = Planner()
    assert planner.plan(views).entries[key("10.96.0.1", 1)].mode is EntryMode.KERNEL
    restless = planner.plan(views, restless=frozenset({"h"}))
    assert found_for(restless.entries, 1, "10.96.0.1") == found_for(restless.entries, 0, "10.96.0.1") == PROXY
    assert planner.plan(views) == Planner().plan(views)


HOSTS = ("h", "other", "third")
RESTLESS = st.frozensets(st.sampled_from(HOSTS))


@st.composite
def unrest(draw):
    """Views some of whose frontends yield, and who is restless while they last."""
    pool = [yielding(f"10.96.0.{place % 3}", f"10.1.0.{place}", host=host) for place, host in enumerate(HOSTS * 2)]
    pool += draw(st.lists(frontends, max_size=3))
    several = st.dictionaries(st.integers(0, 2), st.lists(st.sampled_from(pool), max_size=6), min_size=1, max_size=3)
    return [
        ([(number, View(*seen)) for number, seen in views.items()], draw(st.booleans()), draw(st.lists(RESTLESS)))
        for views in draw(st.lists(several, min_size=1, max_size=3))
    ]


@given(unrest())
def test_while_views_last_a_plan_with_others_restless_equals_the_one_from_scratch(versions):
    planner = Planner()
    for views, reverse, restless in versions:
        for hosts in (frozenset(), *restless):
            assert planner.plan(views, reverse, restless=hosts) == Planner().plan(views, reverse, restless=hosts)


def test_who_is_restless_is_told_without_a_look_at_what_views_see():
    """A pod's SIGTERM follows its deletion by milliseconds: a big cluster's listing takes longer."""

    class Asked(View):
        times = 0

        def frontends(self):
            self.times += 1
            return super().frontends()

    planner = Planner()
    seen = [Asked(yielding("10.96.0.1", "10.1.0.1"), kernel("10.96.0.2", "10.1.0.2")), Asked(frontend("10.96.0.3"))]
    views = list(enumerate(seen))
    planner.plan(views)
    assert planner.plan(views, restless=frozenset({"h"})).entries[key("10.96.0.1")] == PROXY
    planner.plan(views)
    assert [view.times for view in seen] == [1, 1]


def test_what_the_proxy_may_not_have_stays_in_the_kernel():
    views = [(0, View(kernel("10.96.0.1", "10.1.0.1")))]
    assert Planner().plan(views, restless=frozenset({"h"})) == Planner().plan(views)


def test_a_client_that_fails_closed_does_so_but_where_a_service_says_otherwise():
    def proxied(address, **annotations):
        service = Service(host="h", name="h", namespace="n", annotations=annotations)
        return frontend(address, service=service)

    open_ = {"nodemesh.io/failure-policy": "open"}
    shared = (proxied("10.96.0.1"), proxied("10.96.0.2", **open_), kernel("10.96.0.3", "10.1.0.1"))
    views = [(0, View(*shared)), (1, View(*shared))]
    planner = Planner()
    made = planner.plan(views, closed=frozenset({1}))
    assert found_for(made.entries, 0, "10.96.0.1").flags == ServiceFlag.NONE
    assert found_for(made.entries, 1, "10.96.0.1") == ServiceEntry(EntryMode.PROXY, ServiceFlag.FAIL_CLOSED)
    assert found_for(made.entries, 1, "10.96.0.2") == PROXY
    assert found_for(made.entries, 1, "10.96.0.3").mode is EntryMode.KERNEL
    assert made == Planner().plan(views, closed=frozenset({1}))
    assert planner.plan(views) == Planner().plan(views)
