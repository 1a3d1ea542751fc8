ROUTE = [{"destination": {"host": "a"}}]


def rules(told, *matches):
    http = [{"route": ROUTE, **({"match": match} if match else {})} for match in matches]
    return told("VirtualService", {"hosts": ["a"], "http": http})


def test_rules_that_no_request_reaches(told):
    assert rules(told, [], [{"port": 80}]) == ["unreachable-rule spec.http[1]"]
    assert rules(told, [{"port": 80}, {"uri": {"prefix": "/"}}], []) == ["unreachable-rule spec.http[1]"]
    assert rules(told, [{"port": 80}], [{"port": 80, "name": "again"}]) == ["unreachable-match spec.http[1].match[0]"]
    assert rules(told, [{"uri": {"prefix": "/a"}}], [{"uri": {"exact": "/ab"}, "port": 1}]) == [
        "unreachable-match spec.http[1].match[0]"
    ]


def test_rules_that_are_reached(told):
    assert rules(told, [{"uri": {"prefix": "/a"}, "port": 1}], [{"uri": {"prefix": "/ab"}}], []) == []
    assert rules(told, [{"uri": {"prefix": "/a"}}], [{"uri": {"prefix": "/A"}, "ignoreUriCase": True}]) == []
    assert rules(told, [{"uri": {"regex": "/.*"}}], [{"uri": {"prefix": "/a"}}]) == []


def test_many_rules_are_judged_in_one_pass(told):
    matches = [[{"uri": {"prefix": f"/{number:04}/"}}] for number in range(2000)]
    assert rules(told, *matches) == []


def test_hosts_are_compared_only_when_they_are_hosts(told):
    found = told("VirtualService", {"hosts": ["a b", "a b"], "http": [{"route": ROUTE}]})
    assert found == ["bad-host spec.hosts[0]", "bad-host spec.hosts[1]"]


def test_server_names_that_name_a_cluster_are_for_gateways(told):
    name = "outbound_.443_._.shop.prod.svc.cluster.local"

    def found(host=name, sni=name, gateways=("gw",)):
        tls = [{"match": [{"sniHosts": [sni]}], "route": ROUTE}] if sni else []
        http = [] if sni else [{"route": ROUTE}]
        return told("VirtualService", {"hosts": [host], "gateways": list(gateways), "tls": tls, "http": http})

    assert (
        found() == found("outbound_.80_.v1_.a.b", "outbound_.80_.v1_.a.b") == found("*.b", "outbound_.80_._.a.b") == []
    )
    refused = ["bad-host spec.hosts[0]"]
    for gateways in ((), ("mesh",), ("gw", "mesh")):
        assert refused[0] in found(gateways=gateways)
    assert found(sni="") == refused  # without tls rules the name is none
    for other in ("outbound_.443_shop", "outbound_.x_._.shop", "outbound_.443_._.80", "inbound_.443_._.shop"):
        assert refused[0] in found(other, other), other
