from nodemesh.config.problems import Findings
from nodemesh.config.validate.gateway import check_gateway_host


def test_hosts_with_and_without_namespace():
    for host in ("*", "*.a.com", "ns/a.com", "./*", "*/a.com", "10.0.0.1"):
        findings = Findings()
        check_gateway_host(host, ("p",), findings)
        assert not findings.items, host
    for host in ("", "/a.com", "a b/x.com", "ns/", "*a.com", "ns/*a.com", "shop", "./shop", "*/shop", "::1"):
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


def test_sockets(told):
    def bound(bind, number=0):
        port = {"number": number, "protocol": "HTTP", "name": "a"}
        return told("Gateway", {"selector": {"a": "b"}, "servers": [{"port": port, "bind": bind, "hosts": ["*"]}]})

    assert bound("unix:///run/x") == bound("unix://@x") == bound("::1", 80) == []
    assert bound("unix:///run/x", 80) == ["bad-port spec.servers[0].port.number"]
    for bind in ("unix://", "unix://x", "unix:///run/"):
        assert bound(bind) == ["bad-address spec.servers[0].bind"], bind


def tls_of(told, **tls):
    port = {"number": 443, "protocol": "TLS" if "PASSTHROUGH" in tls["mode"] else "HTTPS", "name": "a"}
    found = told("Gateway", {"selector": {"a": "b"}, "servers": [{"port": port, "hosts": ["*"], "tls": tls}]})
    return [item.replace("spec.servers[0].tls.", "") for item in found]


FILES = {"serverCertificate": "/c", "privateKey": "/k"}


def test_one_source_of_certificates(told):
    listed = {"tlsCertificates": [FILES]}
    for mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL", "PASSTHROUGH"):
        for other, name in (
            ({"credentialName": "c"}, "credentialName"),
            ({"credentialNames": ["c", "d"]}, "credentialNames"),
        ):
            assert tls_of(told, mode=mode, **other) == []
            assert tls_of(told, mode=mode, **other, **FILES) == [f"one-of {name}"]
            assert tls_of(told, mode=mode, **other, **listed) == ["one-of tlsCertificates"]
            assert tls_of(told, mode=mode, **other, serverCertificate="/c") == []  # half of a pair is no source
    assert tls_of(told, mode="SIMPLE", **FILES, **listed) == ["one-of tlsCertificates"]


def test_lists_of_revoked_certificates(told):
    crl = {"caCrl": "/crl"}
    for mode in ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL"):
        assert tls_of(told, mode=mode, credentialName="c", **crl) == []
        assert tls_of(told, mode=mode, credentialNames=["c"], **crl) == []
    assert tls_of(told, mode="MUTUAL", **FILES, caCertificates="/ca", **crl) == []
    assert tls_of(told, mode="SIMPLE", **FILES, **crl) == ["one-of caCrl"]
    assert tls_of(told, mode="PASSTHROUGH", credentialName="c", **crl) == ["one-of caCrl"]
