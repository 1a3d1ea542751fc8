from nodemesh.config.problems import Findings
from nodemesh.config.validate.gateway import check_gateway_host


def test_hosts_with_and_without_namespace():
    for host in ("*", "*.a.com", "ns/a.com", "./*", "*/a.com", "10.0.0.1"):
        findings = Findings()
        check_gateway_host(host, ("p",), findings)
        assert not findings.items, host
    for host in ("", "/a.com", "a b/x.com", "ns/", "*a.com", "ns/*a.com"):
        findings = Findings()
        check_gateway_host(host, ("p",), findings)
        assert findings.items, host


def test_servers_are_judged_each(told):
    server = {"port": {"number": 80, "protocol": "HTTP", "name": "a"}, "hosts": ["*"], "name": "x"}
    assert told("Gateway", {"selector": {"a": "b"}, "servers": [server, server]}) == [
        "duplicate-name spec.servers[1].port.name",
        "duplicate-name spec.servers[1].name",
    ]


def test_credentials_bring_the_clients_ca_along(told):
    def found(tls):
        port = {"number": 443, "protocol": "HTTPS", "name": "a"}
        return told("Gateway", {"selector": {"a": "b"}, "servers": [{"port": port, "hosts": ["*"], "tls": tls}]})

    assert found({"mode": "MUTUAL", "credentialName": "c"}) == []
    assert found({"mode": "MUTUAL", "serverCertificate": "/c", "privateKey": "/k"}) == [
        "missing-field spec.servers[0].tls.caCertificates"
    ]
    files = {"serverCertificate": "/c", "privateKey": "/k", "caCertCredentialName": "ca"}
    assert found({"mode": "MUTUAL", **files}) == []
