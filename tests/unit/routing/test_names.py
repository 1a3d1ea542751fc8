import pytest

from nodemesh.routing.names import (
    by_specificity,
    covers,
    expand_alias,
    namespace_in,
    resolve_gateway,
    resolve_host,
    strip_port,
)


@pytest.mark.parametrize(
    ("host", "resolved"),
    [
        ("reviews", "reviews.ns.svc.cluster.local"),
        ("Reviews", "reviews.ns.svc.cluster.local"),
        ("reviews.prod", "reviews.prod"),
        ("*", "*"),
        ("*.foo.com", "*.foo.com"),
        ("a.b.", "a.b"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_resolve_host(host, resolved):
    assert resolve_host(host, "ns", "cluster.local") == resolved


@pytest.mark.parametrize(
    ("name", "resolved"),
    [
        ("gw", "ns/gw"),
        ("./gw", "ns/gw"),
        ("prod/gw", "prod/gw"),
        ("gw.prod.svc.cluster.local", "prod/gw"),
        ("mesh", "mesh"),
    ],
)
def test_resolve_gateway(name, resolved):
    assert resolve_gateway(name, "ns") == resolved


@pytest.mark.parametrize(
    ("pattern", "host", "held"),
    [
        ("a.b", "a.b", True),
        ("*.foo.com", "a.foo.com", True),
        ("*.foo.com", "a.b.foo.com", True),
        ("*.foo.com", "foo.com", False),
        ("*.foo.com", "*.b.foo.com", True),
        ("*.b.foo.com", "*.foo.com", False),
        ("*", "anything", True),
        ("a.foo.com", "*.foo.com", False),
    ],
)
def test_covers(pattern, host, held):
    assert covers(pattern, host) is held


def test_by_specificity():
    assert by_specificity(["*", "*.com", "a.com", "*.foo.com"]) == ("*.foo.com", "*.com", "*")


@pytest.mark.parametrize(
    ("name", "full"),
    [
        ("web", "web.ns.svc.cluster.local"),
        ("web.prod", "web.prod.svc.cluster.local"),
        ("web.prod.svc", "web.prod.svc.cluster.local"),
        ("a.b.c", None),
        ("", None),
    ],
)
def test_expand_alias(name, full):
    assert expand_alias(name, "ns", "cluster.local") == full


@pytest.mark.parametrize(
    ("authority", "host"),
    [
        ("Web:80", "web"),
        ("web.", "web"),
        ("[FD00::0:1]:80", "fd00::1"),
        ("fd00::1", "fd00::1"),
        ("10.0.0.1:80", "10.0.0.1"),
        ("", ""),
        ("[broken", "[broken"),
    ],
)
def test_strip_port(authority, host):
    assert strip_port(authority) == host


@pytest.mark.parametrize(
    ("host", "namespace"),
    [
        ("web.shop.svc.cluster.local", "shop"), ("a.b.web.shop.svc.cluster.local", "shop"),
        ("*.shop.svc.cluster.local", "shop"),
        ("*.svc.cluster.local", "*"), ("*.cluster.local", "*"), ("*l", "*"), ("*", "*"), ("*.example", ""),
        ("shop.svc.cluster.local", "shop"), ("svc.cluster.local", ""), ("web.shop.svc.cluster.local.example", ""),
    ],
)  # fmt: skip
def test_whose_a_name_below_the_clusters_domain_is(host, namespace):
    assert namespace_in(host, "cluster.local") == namespace
