def test_addresses(told):
    for address in ("1.2.3.4", "::1", "vm.example.com", "unix:///run/x", "unix://@x"):
        assert told("WorkloadEntry", {"address": address}) == [], address
    for address in ("a b", "unix://x", "unix:///x/", "*.a.com"):
        assert told("WorkloadEntry", {"address": address}) == ["bad-address spec.address"], address


def test_a_template_waits_for_its_address(told):
    assert told("WorkloadGroup", {"template": {}}) == []
    assert told("WorkloadGroup", {"template": {"ports": {"a": 0}}}) == ["bad-port spec.template.ports.a"]
