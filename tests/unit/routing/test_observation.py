"""Telemetry of several scopes, merged as istiod does."""

from msgspec.structs import replace
from tests.asking import views_of_text

from nodemesh.config.telemetry import IstioMetric
from nodemesh.routing.observation import LogRule, Scopes, observation_of, observes

MESH = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec:
  extensionProviders:
  - {name: file, envoyFileAccessLog: {path: /tmp/log}}
  - {name: otel, opentelemetry: {service: collector.tracing.svc.cluster.local, port: 4318}}
  defaultProviders: {tracing: [otel]}
"""


def telemetry(name, namespace, spec, created="2026-01-01T00:00:00Z"):
    return f"""
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: "{created}"}}
spec: {spec}
"""


def observed(*texts, namespace="shop", labels=None):
    tables = views_of_text(MESH, *texts).tables
    return observation_of(tables, namespace, labels or {})


def test_nothing_is_said_where_nobody_says_anything():
    tables = views_of_text(MESH).tables
    assert not observes(tables)
    found = observation_of(tables, "shop", {})
    assert (found.logs, found.metrics, found.tracing) == (None, (), None)


def test_the_nearest_scope_has_the_last_word():
    root = telemetry("a", "istio-system", "{accessLogging: [{providers: [{name: envoy}, {name: file}]}]}")
    own = telemetry("b", "shop", "{accessLogging: [{providers: [{name: file}], filter: {expression: 'true'}}]}")
    some = telemetry("c", "shop", "{selector: {matchLabels: {app: web}}, accessLogging: [{disabled: true}]}")
    assert observed(root, namespace="other").logs == (LogRule("envoy"), LogRule("file"))
    assert observed(root, own).logs == (LogRule("file", "true"),)
    assert observed(root, own, some, labels={"app": "web"}).logs == ()
    assert observed(root, own, some, labels={"app": "api"}).logs == (LogRule("file", "true"),)


def test_the_oldest_of_a_scope_counts():
    young = telemetry("a", "shop", "{accessLogging: [{disabled: true}]}", "2026-02-01T00:00:00Z")
    old = telemetry("b", "shop", "{accessLogging: [{}]}")
    assert observed(young, old).logs == (LogRule("envoy"),)


def test_nobody_goes_through_other_namespaces_objects():
    class Asked(dict):
        times = 0

        def items(self):
            Asked.times += 1
            return super().items()

    many = [telemetry(f"t{n}", "evil", "{selector: {matchLabels: {app: web}}}") for n in range(20)]
    tables = views_of_text(MESH, *many, telemetry("a", "shop", "{selector: {matchLabels: {app: api}}}")).tables
    found = [replace(each, selector=Asked(each.selector)) for each in tables.telemetries]
    scopes = Scopes(found)
    labels = {"app": "web"}
    assert list(scopes.about("istio-system", "shop", labels)) == [] and Asked.times <= 1
    assert list(scopes.about("istio-system", "evil", labels)) == [found[0]]


def test_overrides_follow_each_other():
    root = telemetry("a", "istio-system", "{metrics: [{overrides: [{match: {metric: REQUEST_SIZE}, disabled: true}]}]}")
    own = telemetry("b", "shop", "{metrics: [{providers: [{name: stackdriver}], overrides: [{disabled: true}]}, "
        "{overrides: [{match: {metric: ALL_METRICS, mode: SERVER}, tagOverrides: {a: {operation: REMOVE}, "
        "b: {value: request.host}}}]}]}")  # fmt: skip
    first, second = observed(root, own).metrics
    assert (first.metrics, first.disabled, first.client) == ((IstioMetric.REQUEST_SIZE,), True, True)
    assert (second.metrics, second.client, second.server) == ((), False, True)
    assert (second.removed, second.set) == (("a",), (("b", "request.host"),))


def test_what_a_scope_does_not_say_of_tracing_it_has_from_the_wider_ones():
    root = telemetry(
        "a", "istio-system", "{tracing: [{randomSamplingPercentage: 50, customTags: {a: {literal: {value: x}}}}]}"
    )
    own = telemetry("b", "shop", "{tracing: [{disableSpanReporting: true}]}")
    rule = observed(root, own).tracing
    assert (rule.provider, rule.sampling, rule.report, rule.propagate) == ("otel", 0.5, False, True)
    assert [(tag.name, tag.value) for tag in rule.tags] == [("a", "x")]
    assert observed(telemetry("a", "istio-system", "{tracing: [{}]}")).tracing.sampling == 0.01
    assert observed(telemetry("a", "istio-system", "{tracing: [{providers: [{name: file}]}]}")).tracing is None
    assert observed(telemetry("a", "istio-system", "{tracing: [{match: {mode: SERVER}}]}")).tracing is None


def test_a_target_is_a_gateway_by_its_name():
    target = "{group: gateway.networking.k8s.io, kind: Gateway, name: front}"
    spec = f"{{targetRefs: [{target}], accessLogging: [{{disabled: true}}]}}"
    text = telemetry("a", "shop", spec)
    labels = {"gateway.networking.k8s.io/gateway-name": "front"}
    assert observed(text, labels=labels).logs == ()
    assert observed(text).logs is None and observed(text, namespace="other", labels=labels).logs is None
