import pytest

from nodemesh.routing.gatewayapi.hosts import best, intersection, specificity


@pytest.mark.parametrize(
    ("one", "other", "meeting"),
    [
        ("", "", ""),
        ("a.example", "", "a.example"),
        ("*.a.example", "b.a.example", "b.a.example"),
        ("*.a.example", "c.b.a.example", "c.b.a.example"),
        ("*.a.example", "a.example", None),  # a star is one label or more, never none
        ("*.a.example", "*.b.a.example", "*.b.a.example"),
        ("*.a.example", "*.a.example", "*.a.example"),
        ("*.a.example", "*.example", "*.a.example"),
        ("a.example", "b.example", None),
        ("*.xa.example", "*.a.example", None),
    ],
)
def test_hosts_meet_where_one_covers_the_other(one, other, meeting):
    assert intersection(one, other) == meeting == intersection(other, one)


def test_the_more_specific_host_comes_first():
    hosts = ["", "*.example", "*.a.example", "x.a.example"]
    assert sorted(hosts, key=specificity) == hosts
    assert best(hosts, "x.a.example") == "x.a.example"
    assert best(hosts, "y.a.example") == "*.a.example"
    assert best(hosts, "a.example") == "*.example"
    assert best(hosts, "elsewhere.test") == ""
    assert best(["a.example"], "b.example") is None
