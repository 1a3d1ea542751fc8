import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.meshes import make, service

from nodemesh.config.load import load_text
from nodemesh.registry.allocate import LABEL, PLACES, Applicant, addresses_at, allocate, place_of
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.store import Store

DNS_CAPTURE = make("MeshConfig", "default", {"dnsCapture": True})


def entry(name, host, resolution="DNS", labels=None, **spec):
    ports = [{"number": 3306, "name": "tcp", "protocol": "TCP"}]
    return make("ServiceEntry", name, {"hosts": [host], "ports": ports, "resolution": resolution, **spec},
                labels=labels or {})  # fmt: skip


def allocated(*objects):
    snapshot = Store().apply("test", objects)
    return {host: found[0].allocated for host, found in snapshot.services.items()}


def test_addresses_are_of_istios_networks_and_the_same_everywhere():
    assert addresses_at(0) == ("240.240.0.1", "2001:2::f0f0:1")
    assert addresses_at(PLACES - 1) == ("240.240.255.241", "2001:2::f0f0:fff1")
    assert all(not addresses_at(place)[0].endswith((".0", ".255")) for place in range(0, PLACES, 7))
    one = Applicant(0.0, "default", "db.internal")
    assert allocate([one]) == {("default", "db.internal"): ("240.240.151.97", "2001:2::f0f0:9761")}


def test_the_older_one_keeps_its_place():
    """Looked for until two hosts fall on one place."""
    first = Applicant(1.0, "default", "first.internal")
    (home,) = allocate([first]).values()
    others = (Applicant(2.0, "default", f"other-{number}.internal") for number in range(1_000_000))
    rival = next(other for other in others if next(iter(allocate([other]).values())) == home)
    both = allocate([rival, first])
    assert both["default", "first.internal"] == home != both["default", rival.host]
    elder = rival._replace(created=0.0)
    assert allocate([elder, first])["default", rival.host] == home


@given(st.sets(st.tuples(st.sampled_from("abc"), st.text("xyz", min_size=1, max_size=6)), max_size=60), st.randoms())
def test_whatever_the_order_each_has_its_own(keys, random):
    applicants = [Applicant(0.0, namespace, host) for namespace, host in keys]
    found = allocate(applicants)
    assert found.keys() == keys and len(set(found.values())) == len(keys)
    random.shuffle(applicants)
    assert allocate(applicants) == found


def test_only_hosts_that_an_address_tells_apart_get_one():
    given = allocated(
        DNS_CAPTURE,
        entry("dns", "dns.internal"),
        entry("static", "static.internal", "STATIC", endpoints=[{"address": "192.0.2.1"}]),
        entry("addressed", "addressed.internal", addresses=["192.0.2.2"]),
        entry("none", "none.internal", "NONE"),
        entry("wild", "*.internal", "STATIC"),
        entry("unwilling", "unwilling.internal", labels={LABEL: "false"}),
        service("web", "10.96.0.1"),
    )
    assert {host for host, addresses in given.items() if addresses} == {"dns.internal", "static.internal"}


def test_without_dns_capture_only_those_that_ask_for_it():
    given = allocated(entry("a", "a.internal"), entry("b", "b.internal", labels={LABEL: "true"}))
    assert given["a.internal"] == () and len(given["b.internal"]) == 2


def test_addresses_come_and_go_with_the_setting_and_leave_others_as_they_are():
    store = Store()
    first = store.apply("test", [entry("a", "a.internal"), DNS_CAPTURE])
    second = store.apply("test", [entry("b", "b.internal")])
    assert second.services["a.internal"][0] is first.services["a.internal"][0]
    assert second.services["b.internal"][0].allocated != second.services["a.internal"][0].allocated != ()
    off = store.apply("test", [make("MeshConfig", "default", {"dnsCapture": False})])
    assert off.services["a.internal"][0].allocated == ()


WITH_STATUS = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: db, namespace: default}
spec:
  hosts: [db.internal, other.internal]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
status:
  conditions: [{type: Reconciled, status: "True"}]
  addresses:
  - {host: db.internal, value: 240.240.7.7}
  - {host: db.internal, value: "2001:2::f0f0:0707"}
  - {host: other.internal, value: nonsense}
"""


def test_what_istio_has_allocated_counts_before_what_we_would():
    """With and without DNS of ours, and only where it is an address."""
    (found,) = load_text(WITH_STATUS, "db.yaml").objects
    assert allocated(found) == {"db.internal": ("240.240.7.7", "2001:2::f0f0:707"), "other.internal": ()}
    given = allocated(found, DNS_CAPTURE)
    assert given["db.internal"] == ("240.240.7.7", "2001:2::f0f0:707") and len(given["other.internal"]) == 2


def entry_with_status(name, host, *values, **spec):
    addresses = [{"host": host, "value": value} for value in values]
    found = {"hosts": [host], "ports": [{"number": 80, "name": "http"}], "resolution": "DNS", **spec}
    text = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": name},
            "spec": found, "status": {"addresses": addresses}}  # fmt: skip
    (made,) = load_text(json.dumps(text), f"{name}.yaml").objects
    return made


@pytest.mark.parametrize("family", (0, 1))
@pytest.mark.parametrize("by_hand", (False, True))
def test_ours_keep_off_what_others_have(family, by_hand):
    """Of Istio or written by hand, of one family or the other: what we would have given is another host's."""
    store = Store()
    first = store.apply("test", [DNS_CAPTURE, entry("ours", "ours.internal"), entry("bystander", "bystander.internal")])
    home = first.services["ours.internal"][0].allocated[family]
    given = {"addresses": [home]} if by_hand else {}
    other = entry_with_status("istios", "istios.internal", *(() if by_hand else (home,)), **given)
    second = store.apply("test", [other]).services
    ours, theirs = second["ours.internal"][0], second["istios.internal"][0]
    assert home in (theirs.addresses if by_hand else theirs.allocated)
    assert len(ours.allocated) == 2 and home not in ours.allocated
    assert second["bystander.internal"][0] is first.services["bystander.internal"][0]
    third = store.apply("test", [], [ObjectKey("ServiceEntry", "default", "istios", "networking.istio.io")]).services
    assert third["ours.internal"][0].allocated == first.services["ours.internal"][0].allocated


@given(st.integers(0, PLACES - 1))
def test_a_place_is_found_again_by_either_of_its_addresses(place):
    assert [place_of(address) for address in addresses_at(place)] == [place, place]


def test_other_addresses_have_no_place():
    others = ("240.240.0.0", "240.240.3.255", "240.240.255.242", "240.239.0.1", "2001:2::1", "240.240.0.0/24")
    assert [place_of(address) for address in others] == [None] * len(others)


def test_places_end_and_so_do_addresses():
    one, two = Applicant(0.0, "default", "a.internal"), Applicant(1.0, "default", "b.internal")
    assert allocate([one, two], range(1, PLACES)) == {("default", "a.internal"): addresses_at(0)}


def test_a_status_that_is_none_is_nobodys_mistake():
    for status in ("nonsense", "{addresses: nonsense}", "{addresses: [{value: 1}]}", "{addresses: [x]}"):
        loaded = load_text(WITH_STATUS.partition("status:")[0] + f"status: {status}\n", "db.yaml")
        assert not [problem for problem in loaded.problems if problem.refused]
        assert allocated(*loaded.objects)["db.internal"] == ()


def test_an_address_of_its_own_counts_before_istios():
    (found,) = load_text(WITH_STATUS.replace("hosts:", "addresses: [10.9.9.9]\n  hosts:"), "db.yaml").objects
    assert allocated(found)["db.internal"] == ()
