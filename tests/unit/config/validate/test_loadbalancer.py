def balancer(told, settings, **policy):
    found = told("DestinationRule", {"host": "a", "trafficPolicy": {"loadBalancer": settings, **policy}})
    return [item.replace("spec.trafficPolicy.loadBalancer.", "") for item in found]


def test_failover_needs_outlier_detection_beside_it(told):
    settings = {"localityLbSetting": {"failover": [{"from": "a", "to": "b"}]}}
    assert balancer(told, settings) == ["failover-without-outlier-detection localityLbSetting.failover"]
    assert balancer(told, settings, outlierDetection={}) == []


def test_overlapping_sources(told):
    def distribute(*sources):
        entries = [{"from": source, "to": {"x": 100}} for source in sources]
        return balancer(told, {"localityLbSetting": {"distribute": entries}})

    assert distribute("a/b", "a/c") == []
    assert distribute("a", "ab") == []
    for pair in (("a", "a/b"), ("a/b/c", "a/*"), ("*", "a"), ("a", "a")):
        assert distribute(*pair) == ["bad-locality localityLbSetting.distribute"], pair


def test_table_sizes_are_primes(told):
    def found(size):
        return balancer(told, {"consistentHash": {"useSourceIp": True, "maglev": {"tableSize": size}}})

    for size in (2, 251, 65537):
        assert found(size) == []
    for size in (0, 1, 65536, 5000011):
        assert found(size) == ["bad-table-size consistentHash.maglev.tableSize"]


def test_zone_aware_priorities_name_no_zones(told):
    def found(*labels, **more):
        return balancer(told, {"zoneAwareLbSetting": {"enabled": True, "failoverPriority": list(labels), **more}})

    assert found("tier", "version=v1") == []
    for label in ("topology.kubernetes.io/region", "topology.kubernetes.io/zone", "topology.istio.io/subzone"):
        for more in ({}, {"failover": [{"from": "a", "to": "b"}]}):
            assert found("tier", label, **more) == ["bad-failover zoneAwareLbSetting.failoverPriority[1]"]
