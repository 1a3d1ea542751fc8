def entry(told, **spec):
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    return told("ServiceEntry", {"hosts": ["a.com"], "ports": ports, "resolution": "DNS", **spec})


def test_endpoints_by_resolution(told):
    address, name = [{"address": "1.2.3.4"}], [{"address": "b.com"}]
    assert entry(told, resolution="STATIC", endpoints=address) == []
    assert entry(told, resolution="STATIC", endpoints=name) == ["bad-address spec.endpoints[0].address"]
    assert entry(told, endpoints=name) == []
    assert entry(told, resolution="NONE", endpoints=address) == ["endpoints-without-resolution spec.endpoints"]


def test_a_wildcard_with_endpoints_needs_no_lookup(told):
    assert entry(told, hosts=["*.a.com"], endpoints=[{"address": "b.com"}]) == []
    assert entry(told, hosts=["*.a.com"]) == ["wildcard-lookup spec.hosts[0]"]


def test_unset_enums_have_istios_zero_values(told):
    assert told("ServiceEntry", {"hosts": ["a.com"]}) == []


def test_sockets_are_endpoints_of_one_port_and_of_no_name(told):
    for address in ("unix:///run/x", "unix://@x"):
        socket = [{"address": address}]
        assert entry(told, resolution="STATIC", endpoints=socket) == []
        for resolution in ("DNS", "DNS_ROUND_ROBIN"):
            assert entry(told, resolution=resolution, endpoints=socket) == ["unix-endpoint spec.endpoints[0].address"]
    for address in ("unix://x", "unix:///run/"):
        assert entry(told, resolution="STATIC", endpoints=[{"address": address}]) == [
            "bad-address spec.endpoints[0].address"
        ]


def test_what_an_entry_stands_for_is_bounded(told):
    def entry_of(hosts, ports, **spec):
        named = [{"number": 1000 + n, "name": f"http-{n}", "protocol": "HTTP"} for n in range(ports)]
        spec = {"hosts": [f"h{n}.com" for n in range(hosts)], "ports": named, "resolution": "STATIC", **spec}
        return told("ServiceEntry", spec)

    addresses = [f"10.0.{n >> 8}.{n & 255}" for n in range(1000)]
    endpoints = [{"address": address} for address in addresses]
    assert entry_of(1, 50, endpoints=endpoints) == entry_of(50, 1, addresses=addresses) == []
    assert entry_of(1, 51, endpoints=endpoints) == entry_of(51, 1, endpoints=endpoints) == ["too-many spec.endpoints"]
    assert entry_of(51, 1, addresses=addresses) == ["too-many spec.addresses"]
