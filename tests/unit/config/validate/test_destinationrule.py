def test_policies_are_judged_at_every_level(told):
    pool = {"connectionPool": {}}
    level = {"port": {"number": 80}, **pool}
    spec = {
        "host": "a",
        "trafficPolicy": {**pool, "portLevelSettings": [level]},
        "subsets": [{"name": "v1", "trafficPolicy": pool}],
    }
    assert told("DestinationRule", spec) == [
        "empty-policy spec.trafficPolicy.connectionPool",
        "empty-policy spec.trafficPolicy.portLevelSettings[0].connectionPool",
        "empty-policy spec.subsets[0].trafficPolicy.connectionPool",
    ]


def test_a_selector_keeps_the_rule_in_its_namespace(told):
    spec = {"host": "a", "workloadSelector": {"matchLabels": {"app": "x"}}, "exportTo": ["own"]}
    assert told("DestinationRule", spec, namespace="own") == []
    assert told("DestinationRule", spec, namespace="other") == ["bad-export-to spec.exportTo"]


def test_too_many_ports(told):
    levels = [{"port": {"number": number}, "tls": {"mode": "SIMPLE"}} for number in range(1, 4098)]
    assert told("DestinationRule", {"host": "a", "trafficPolicy": {"portLevelSettings": levels}}) == [
        "too-many spec.trafficPolicy.portLevelSettings"
    ]


def test_a_credential_stands_alone(told):
    def found(**tls):
        found = told("DestinationRule", {"host": "a", "trafficPolicy": {"tls": tls}})
        return [item.replace("spec.trafficPolicy.tls.", "") for item in found]

    for mode in ("SIMPLE", "MUTUAL"):
        for name in ("clientCertificate", "privateKey", "caCertificates", "caCrl"):
            assert found(mode=mode, credentialName="c", **{name: "/file"}) == [f"one-of {name}"]
    assert found(mode="SIMPLE", caCertificates="/ca", caCrl="/crl") == []
