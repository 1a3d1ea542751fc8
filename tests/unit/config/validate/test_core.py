def test_services(told):
    def found(spec):
        return told("Service", spec, api_version="v1")

    assert found({"clusterIP": "None", "ports": [{"port": 80}]}) == []
    assert found({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "x"], "ports": [{"port": 80}]}) == [
        "bad-address spec.clusterIPs[1]"
    ]
    assert found({"ports": [{"port": 80}, {"port": 81, "name": "b"}]}) == ["missing-field spec.ports[0].name"]
