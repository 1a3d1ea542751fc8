def egress(told, *listeners):
    return told("Sidecar", {"egress": list(listeners)})


def test_the_listener_for_the_rest_comes_last(told):
    port, rest = {"port": {"number": 80}, "hosts": ["./*"]}, {"hosts": ["*/*"]}
    assert egress(told, port, rest) == []
    assert egress(told, rest, port) == ["port-less-listener spec.egress[0]"]


def test_hosts_have_namespaces(told):
    for host in ("./*", "*/*", "~/*", "ns/a.com", "~ns/a.com", "ns/*.a.com"):
        assert egress(told, {"hosts": [host]}) == [], host
    for host in ("*", "a.com", "/a.com", "ns/", "n_s/*", "ns/*a"):
        assert egress(told, {"hosts": [host]}) == ["bad-host spec.egress[0].hosts[0]"], host
