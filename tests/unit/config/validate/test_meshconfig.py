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


def test_the_admin_apis_clients_are_networks(told):
    spec = {"adminClients": ["10.1.0.0/16", "192.0.2.1", "2001:db8::/32", "10.1.0.0/33", "office"]}
    assert told("MeshConfig", spec, api_version="nodemesh.io/v1alpha1") == [
        "bad-address spec.adminClients[3]",
        "bad-address spec.adminClients[4]",
    ]


def test_default_providers_are_of_the_kind_that_is_asked_for(told):
    providers = [
        {"name": "file", "envoyFileAccessLog": {"path": "/var/log/x"}},
        {"name": "otel", "opentelemetry": {"service": "a.b", "port": 4318}},
        {"name": "page", "prometheus": {}},
    ]

    def found(**chosen):
        spec = {"extensionProviders": providers, "defaultProviders": chosen}
        return told("MeshConfig", spec, api_version="nodemesh.io/v1alpha1")

    assert found(accessLogging=["file", "envoy"], metrics=["page", "prometheus"], tracing=["otel"]) == []
    assert found(accessLogging=["otel"], metrics=["file"], tracing=["envoy", "nobody"]) == [
        "unknown-provider spec.defaultProviders.accessLogging[0]",
        "unknown-provider spec.defaultProviders.metrics[0]",
        "unknown-provider spec.defaultProviders.tracing[0]",
        "unknown-provider spec.defaultProviders.tracing[1]",
    ]


def test_tls_to_unknown_destinations_is_for_the_mode_that_has_it(told):
    tls = {"mode": "SIMPLE", "insecureSkipVerify": True}

    def found(**policy):
        return told("MeshConfig", {"outboundTrafficPolicy": policy}, api_version="nodemesh.io/v1alpha1")

    assert found(mode="ALLOW_ANY_DYNAMIC_DNS", tls=tls) == []
    assert found(mode="ALLOW_ANY", tls=tls) == ["no-effect spec.outboundTrafficPolicy.tls"]
    assert found(mode="ALLOW_ANY_DYNAMIC_DNS", tls={"mode": "MUTUAL"}) == [
        "bad-enum spec.outboundTrafficPolicy.tls.mode"
    ]
    assert found(mode="ALLOW_ANY_DYNAMIC_DNS", tls={**tls, "caCertificates": "/etc/ca"}) == [
        "unknown-field spec.outboundTrafficPolicy.tls.caCertificates"
    ]
    sidecar = {"outboundTrafficPolicy": {"mode": "ALLOW_ANY_DYNAMIC_DNS"}}
    assert told("Sidecar", sidecar) == ["bad-enum spec.outboundTrafficPolicy.mode"], "as in Istio"
