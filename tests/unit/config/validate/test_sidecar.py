def egress(told, *listeners):
    return told("Sidecar", {"egress": list(listeners)})


def test_the_listener_for_the_rest_comes_last(told):
    port, rest = {"port": {"number": 80}, "hosts": ["./*"]}, {"hosts": ["*/*"]}
    assert egress(told, port, rest) == []
    assert egress(told, rest, port) == ["port-less-listener spec.egress[0]"]


def test_hosts_have_namespaces(told):
    for host in ("./*", "*/*", "~/*", "ns/a.com", "~ns/a.com", "ns/*.a.com", "./a.b"):
        assert egress(told, {"hosts": [host]}) == [], host
    for host in ("*", "a.com", "/a.com", "ns/", "n_s/*", "ns/*a", "./shop", "*/shop", "~ns/shop"):
        assert egress(told, {"hosts": [host]}) == ["bad-host spec.egress[0].hosts[0]"], host


def test_sockets_of_egress_listeners(told):
    def on(bind, number=0, **more):
        return egress(told, {"port": {"number": number, "protocol": "HTTP"}, "bind": bind, "hosts": ["./*"], **more})

    for bind in ("unix:///run/x", "unix://@x"):
        for mode in ({}, {"captureMode": "DEFAULT"}, {"captureMode": "NONE"}):
            assert on(bind, **mode) == []
        assert on(bind, captureMode="IPTABLES") == ["bad-capture-mode spec.egress[0].captureMode"]
        assert on(bind, 80) == ["bad-port spec.egress[0].port.number"]
    for bind in ("unix://", "unix://x", "unix:///run/", "unix://./x"):
        assert on(bind) == ["bad-address spec.egress[0].bind"], bind
    assert on("1.2.3.4", 80, captureMode="IPTABLES") == []
    listener = {"port": {"number": 0}, "bind": "unix:///run/x", "hosts": ["./*"]}
    assert egress(told, listener, {**listener, "bind": "unix:///run/y"}) == []
    assert egress(told, listener, listener) == ["duplicate-port spec.egress[1].bind"]


def test_ingress_listeners_have_addresses_and_ports(told):
    def ingress(number=80, **more):
        return told("Sidecar", {"ingress": [{"port": {"number": number, "protocol": "HTTP"}, **more}]})

    assert ingress(bind="1.2.3.4", defaultEndpoint="unix:///run/x") == []
    assert ingress(bind="unix:///run/x") == ["bad-address spec.ingress[0].bind"]
    assert ingress(0, bind="unix:///run/x") == [
        "bad-port spec.ingress[0].port.number",
        "bad-address spec.ingress[0].bind",
    ]
    for endpoint in ("unix://x", "unix:///run/", "unix://"):
        assert ingress(defaultEndpoint=endpoint) == ["bad-address spec.ingress[0].defaultEndpoint"], endpoint
