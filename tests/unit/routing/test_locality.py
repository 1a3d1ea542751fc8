import pytest

from nodemesh.config.destinationrule import Distribute, LocalityFailover, LocalityLoadBalancerSetting
from nodemesh.registry.snapshot import Endpoint, Locality
from nodemesh.routing import locality
from nodemesh.routing.client import Client
from nodemesh.routing.locality import client_part, distance, matches, setting_in_force


def place(text):
    region, zone, subzone = (text.split("/") + ["", "", ""])[:3]
    return Locality(region=region, zone=zone, subzone=subzone)


def endpoints(*places, weight=1, **more):
    return [
        Endpoint(address=f"10.0.0.{number}", port=80, locality=place(text), weight=weight, **more)
        for number, text in enumerate(places)
    ]


def priorities(some, where, labels, setting, *, client_node="", **site):
    client = Client(namespace="default", locality=where, labels=labels, node=client_node)
    return locality.priorities(some, client, setting_in_force(setting, **site))


def levels(result):
    return result and result.levels


HERE = place("eu/a/1")
FOUR = endpoints("us/a/1", "eu/a/1", "eu/b/1", "eu/a/2")


def failing_over(*pairs):
    return LocalityLoadBalancerSetting(failover=tuple(LocalityFailover(from_=from_, to=to) for from_, to in pairs))


@pytest.mark.parametrize(
    ("where", "rank"), [("eu/a/1", 0), ("eu/a/2", 1), ("eu/b/1", 2), ("us/a/1", 3), ("asia/a/1", 4), ("", 4)]
)
def test_distance_is_subzone_zone_region_failover_region_elsewhere(where, rank):
    assert distance(HERE, place(where), [LocalityFailover(from_="eu", to="us")]) == rank


def test_default_failover_goes_from_near_to_far():
    assert levels(priorities(FOUR, HERE, {}, None, outlier_detection=True)) == ((1,), (3,), (2,), (0,))


def test_levels_have_no_gaps():
    assert levels(priorities(endpoints("us/a/1", "eu/a/1"), HERE, {}, None, outlier_detection=True)) == ((1,), (0,))


def test_failover_names_the_region_that_comes_first():
    some = endpoints("asia/a/1", "us/a/1", "eu/a/1")
    result = priorities(some, HERE, {}, failing_over(("us", "eu"), ("eu", "us")), outlier_detection=True)
    assert levels(result) == ((2,), (1,), (0,))


@pytest.mark.parametrize(
    ("arguments", "applies"),
    [
        ({}, False),  # without outlier detection there is no failover
        ({"outlier_detection": True}, True),
        ({"outlier_detection": True, "mesh": LocalityLoadBalancerSetting(enabled=False)}, False),
        ({"outlier_detection": True, "mesh": LocalityLoadBalancerSetting(enabled=True)}, True),
        ({"traffic_distribution": "PreferSameZone"}, True),
        ({"traffic_distribution": "PreferSameZone", "mesh": LocalityLoadBalancerSetting(enabled=False)}, True),
        ({"traffic_distribution": "Unknown"}, False),
    ],
)
def test_when_failover_applies(arguments, applies):
    assert (priorities(FOUR, HERE, {}, None, **arguments) is not None) is applies


def test_the_rules_own_setting_comes_before_all():
    off = LocalityLoadBalancerSetting(enabled=False)
    assert priorities(FOUR, HERE, {}, off, outlier_detection=True, traffic_distribution="PreferSameZone") is None
    own = LocalityLoadBalancerSetting()
    assert priorities(FOUR, HERE, {}, own, traffic_distribution="PreferSameZone") is None


def test_where_all_endpoints_are_alike_there_are_no_levels():
    assert priorities(endpoints("eu/a/1", "eu/a/1"), HERE, {}, None, outlier_detection=True) is None
    assert priorities([], HERE, {}, None, outlier_detection=True) is None


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        ("PreferSameZone", ((0, 1), (2,), (3,))),
        ("PreferSameNode", ((0,), (1,), (2,), (3,))),
    ],
)
def test_traffic_distribution_prefers_what_is_close(distribution, expected):
    some = [
        Endpoint(address="10.0.0.0", port=80, locality=HERE, node="n1"),
        Endpoint(address="10.0.0.1", port=80, locality=HERE, node="n2"),
        Endpoint(address="10.0.0.2", port=80, locality=place("eu/b/1"), node="n3"),
        Endpoint(address="10.0.0.3", port=80, locality=place("us/a/1"), node="n4"),
    ]
    assert levels(priorities(some, HERE, {}, None, traffic_distribution=distribution, client_node="n1")) == expected


def labelled(*labels):
    return [Endpoint(address=f"10.0.0.{number}", port=80, labels=some) for number, some in enumerate(labels)]


def test_failover_priority_ranks_by_the_first_label_that_differs():
    some = labelled({"a": "x", "b": "x"}, {"a": "x", "b": "y"}, {"a": "y", "b": "x"}, {})
    setting = LocalityLoadBalancerSetting(failover_priority=("a", "b"))
    result = priorities(some, Locality(), {"a": "x", "b": "x"}, setting, outlier_detection=True)
    assert levels(result) == ((0,), (1,), (2, 3))


def test_failover_priority_may_fix_a_value():
    setting = LocalityLoadBalancerSetting(failover_priority=("version=v2",))
    result = priorities(labelled({"version": "v1"}, {"version": "v2"}), Locality(), {}, setting, outlier_detection=True)
    assert levels(result) == ((1,), (0,))


def test_failover_priority_knows_places_without_labels():
    setting = LocalityLoadBalancerSetting(failover_priority=("topology.kubernetes.io/region",))
    assert levels(priorities(FOUR, HERE, {}, setting, outlier_detection=True)) == ((1, 2, 3), (0,))


def test_regional_failover_refines_labels():
    setting = LocalityLoadBalancerSetting(
        failover_priority=("version=v1",), failover=(LocalityFailover(from_="eu", to="us"),)
    )
    some = [
        *endpoints("asia/a/1", "us/a/1", labels={"version": "v1"}),
        *endpoints("eu/a/1", labels={"version": "v2"}),
    ]
    assert levels(priorities(some, HERE, {}, setting, outlier_detection=True)) == ((1,), (0,), (2,))


def distributing(from_, **to):
    to = {key.replace("_", "/").replace("any", "*"): weight for key, weight in to.items()}
    return LocalityLoadBalancerSetting(distribute=(Distribute(from_=from_, to=to),))


def test_distribute_weighs_localities_and_leaves_the_others_out():
    result = priorities(FOUR, HERE, {}, distributing("eu/a/*", eu_a_any=80, us=20))
    assert result.levels == ((0, 1, 3),)
    assert result.shares == ((40, (1,)), (40, (3,)), (20, (0,)))


def test_distribute_divides_a_pattern_by_the_weight_of_its_endpoints():
    some = [*endpoints("eu/a/1", weight=3), *endpoints("eu/b/1", weight=1)]
    assert priorities(some, HERE, {}, distributing("eu", eu_any=100)).shares == ((75, (0,)), (25, (1,)))


def test_distribute_needs_no_outlier_detection_but_a_client_that_matches():
    assert priorities(FOUR, place("us/b/1"), {}, distributing("eu", eu=100), outlier_detection=True) is None


def test_distribute_to_where_nobody_is_leaves_no_endpoint():
    result = priorities(FOUR, HERE, {}, distributing("eu", asia=100))
    assert (result.levels, result.shares) == (((),), ())


@pytest.mark.parametrize(
    ("where", "pattern", "expected"),
    [
        ("eu/a/1", "*", True),
        ("eu/a/1", "eu", True),
        ("eu/a/1", "eu/*", True),
        ("eu/a/1", "eu/a", True),
        ("eu/a/1", "eu/a/1", True),
        ("eu/a/1", "eu/*/1", True),
        ("eu/a/1", "eu/a/2", False),
        ("eu/a/1", "us/a/1", False),
        ("", "eu", False),
    ],
)
def test_patterns_match_part_by_part(where, pattern, expected):
    assert matches(place(where), pattern) is expected


def client(where="eu/a/1", **labels):
    return Client(namespace="default", locality=place(where), labels=labels)


def test_clients_are_told_apart_by_what_their_priorities_read():
    by_tier = LocalityLoadBalancerSetting(failover_priority=("tier", "version=v1"))
    assert client_part(by_tier, client(tier="gold")) == client_part(by_tier, client("us/b/2", tier="gold", other="x"))
    assert client_part(by_tier, client(tier="gold")) != client_part(by_tier, client(tier="silver"))
    both = LocalityLoadBalancerSetting(failover_priority=("tier",), failover=failing_over(("eu", "us")).failover)
    assert client_part(both, client("eu", tier="gold")) != client_part(both, client("us", tier="gold"))
    assert client_part(distributing("eu", eu=100), client("eu")) != client_part(
        distributing("eu", eu=100), client("us")
    )
    assert client_part(None, client()) == ""
