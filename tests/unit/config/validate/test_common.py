import pytest

from nodemesh.config.meta import Meta
from nodemesh.config.problems import Findings
from nodemesh.config.validate.common import (
    check_export_to,
    check_selector,
    covers,
    host_fault,
    is_label,
    is_token,
    overlap,
)


@pytest.mark.parametrize("host", ["a", "a.b", "A-1.b", "a.b.", "x" * 63, "1.a"])
def test_hosts(host):
    assert host_fault(host, wildcard=False) == ""
    assert host_fault(host, wildcard=True) == ""


@pytest.mark.parametrize("host", ["*", "*.a", "*a.b", "*-a.b"])
def test_wildcards(host):
    assert host_fault(host, wildcard=True) == ""
    assert host_fault(host, wildcard=False)


@pytest.mark.parametrize(
    "host", ["", ".", "a..b", "-a", "a-", "a_b", "a.*.b", "a.1", "x" * 64, "a." * 130, "a b", "*.*"]
)
def test_no_hosts(host):
    assert host_fault(host, wildcard=True)


def test_covering():
    assert covers("*.foo.com", "a.foo.com")
    assert covers("*.foo.com", "*.a.foo.com")
    assert covers("*", "a")
    assert not covers("*.foo.com", "foo.com")
    assert not covers("a.foo.com", "*.foo.com")
    assert overlap("a.foo.com", "*.foo.com")
    assert not overlap("*.foo.com", "*.bar.com")


def test_labels_and_tokens():
    assert is_label("a-1") and not is_label("a.b") and not is_label("")
    assert is_token("x-Y!") and not is_token("a b") and not is_token("")


def export_to(*names, none=False):
    findings = Findings()
    check_export_to(names, Meta(name="a", namespace="own"), findings, none=none)
    return [item.path[-1] for item in findings.items]


def test_export_to():
    assert export_to(".", "other") == []
    assert export_to("~", none=True) == []
    assert export_to("~") == [0]
    assert export_to("own", ".") == [1]
    assert export_to("a", "*") == [1]


def test_a_selector_takes_no_star():
    findings = Findings()
    check_selector({"app": "a*", "": "x"}, ("spec", "selector", "labels"), findings)
    assert [item.code for item in findings.items] == ["selector-wildcard", "bad-label"]
