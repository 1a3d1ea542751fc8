"""What a namespace claims of another's is named by lint, where it is written."""

from tests.unit.routing.claimed import OLDER, OWN, entry, findings, rule


def test_claims_are_named_at_their_place():
    host = ("host-of-another", "tenant", "spec.hosts[0]")
    address = ("address-of-another", "tenant", "spec.addresses[0]")
    assert host in findings(OLDER, OWN)
    assert host in findings(rule("wide", "tenant", 1.0, 418, host="*.owner.svc.cluster.local"))
    for addresses in (("10.1.0.8",), ("10.96.0.7",), ("10.96.0.0/16",), ("10.1.0.0/24",), ("0.0.0.0/0",), ("::/0",)):
        assert address in findings(entry(*addresses)), addresses
    entry_host = ("address-of-another", "tenant", "spec.hosts")
    assert entry_host in findings(entry(host="shop.owner.svc.cluster.local"))
    innocent = [
        rule("mine", "tenant", 1.0, 418, exportTo=["."]), OWN, rule("root", "istio-system", 1.0, 200),
        entry("192.0.2.0/24"), entry("10.1.0.8", namespace="owner", name="o"),
        entry("0.0.0.0/0", namespace="istio-system", name="r"),
    ]  # fmt: skip
    assert not {code for code, _, _ in findings(*innocent)} & {"host-of-another", "address-of-another"}
