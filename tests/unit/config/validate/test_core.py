def test_services(told):
    def found(spec):
        return told("Service", spec, api_version="v1")

    assert found({"clusterIP": "None", "ports": [{"port": 80}]}) == []
    assert found({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "x"], "ports": [{"port": 80}]}) == [
        "bad-address spec.clusterIPs[1]"
    ]
    assert found({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}) == ["missing-field spec.ports[0].name"]


def test_pods(told):
    def found(status):
        return told("Pod", {}, api_version="v1", status=status)

    assert found({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]}) == []
    assert found({"podIP": "10.0.0.999", "podIPs": [{"ip": "x"}]}) == [
        "bad-address status.podIP",
        "bad-address status.podIPs[0].ip",
    ]
