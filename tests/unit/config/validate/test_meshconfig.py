def test_istios_names_are_judged_by_istios_rules(told):
    spec = {
        "connectTimeout": "0s",
        "defaultHttpRetryPolicy": {"attempts": 0, "retryOn": "5xx"},
        "localityLbSetting": {"failover": [{"from": "a", "to": "a"}]},
    }
    assert told("MeshConfig", spec, api_version="nodemesh.io/v1alpha1") == [
        "bad-duration spec.connectTimeout",
        "retry-without-attempts spec.defaultHttpRetryPolicy.retryOn",
        "bad-failover spec.localityLbSetting.failover[0]",
    ]


def test_no_limit_is_zero(told):
    limits = {"connections": 0, "requests": 1, "bufferedBytes": -1}
    assert told("MeshConfig", {"limits": limits}, api_version="nodemesh.io/v1alpha1") == [
        "out-of-range spec.limits.connections",
        "out-of-range spec.limits.bufferedBytes",
    ]
