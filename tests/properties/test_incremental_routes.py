"""Whatever the order of changes: routes attached step by step come to the same as all of them at once."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.meshes import make, service

from nodemesh.config.load import load_object
from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store
from nodemesh.routing.gatewayapi.attach import attach

NAMESPACES = ("a", "b")
SAID = (
    "classes", "gateways", "sets", "parents", "listeners", "mesh_routes", "routes", "backend_tls", "policies",
    "backend_traffic", "traffic_policies", "traffic_verdicts",
)  # fmt: skip
API = "gateway.networking.k8s.io"


def made(kind, name, spec, namespace):
    data = {"apiVersion": f"{API}/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
    (item,) = load_object(data, "test").objects
    return item


names = st.sampled_from(("r0", "r1", "r2"))
namespaces = st.sampled_from(NAMESPACES)
targets = st.sampled_from(("s0", "s1", "missing"))


@st.composite
def services(draw):
    port = draw(st.sampled_from(((80, "http"), (81, "http"))))
    return service(draw(st.sampled_from(("s0", "s1"))), "10.96.0.1", port, namespace=draw(namespaces))


@st.composite
def entries(draw):
    spec = {
        "hosts": draw(st.sampled_from((["x.example"], ["x.example", "y.example"]))),
        "ports": [{"number": draw(st.sampled_from((80, 81))), "name": "http", "protocol": "HTTP"}],
        "resolution": "DNS",
    }
    return make("ServiceEntry", "e", spec, namespace=draw(namespaces))


@st.composite
def gateways(draw):
    listeners = [{"name": "l0", "port": 80, "protocol": "HTTP", "hostname": draw(st.sampled_from(("*.x", "a.x")))}]
    if draw(st.booleans()):
        allowed = {"namespaces": {"from": draw(st.sampled_from(("All", "Same")))}}
        listeners.append({"name": "l1", "port": 80, "protocol": "HTTP", "allowedRoutes": allowed})
    return made("Gateway", "g", {"gatewayClassName": "nodemesh", "listeners": listeners}, "a")


@st.composite
def parents(draw):
    return draw(
        st.sampled_from(
            (
                {"name": "g", "namespace": "a"},
                {"name": "g", "namespace": "a", "sectionName": "l1"},
                {"group": "", "kind": "Service", "name": "s0"},
                {"group": "", "kind": "Service", "name": "s0", "namespace": "a", "port": 80},
                {"group": "", "kind": "Service", "name": "s1", "port": 81},
                {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "e"},
            )
        )
    )


@st.composite
def routes(draw):
    kind = draw(st.sampled_from(("HTTPRoute", "HTTPRoute", "GRPCRoute", "TCPRoute")))
    backend = {"name": draw(targets), "namespace": draw(namespaces), "port": draw(st.sampled_from((80, 81)))}
    spec = {"parentRefs": [draw(parents())], "rules": [{"backendRefs": [backend]}]}
    if kind != "TCPRoute" and draw(st.booleans()):
        spec["hostnames"] = draw(st.sampled_from((["a.x"], ["a.x", "b.x"], ["c.y"])))
    return made(kind, draw(names), spec, draw(namespaces))


@st.composite
def grants(draw):
    spec = {
        "from": [{"group": API, "kind": draw(st.sampled_from(("HTTPRoute", "GRPCRoute"))), "namespace": "a"}],
        "to": [{"group": "", "kind": "Service"}],
    }
    return made("ReferenceGrant", "g", spec, "b")


@st.composite
def policies(draw):
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": draw(targets)}],
        "validation": {"hostname": "a.x", "wellKnownCACertificates": "System"},
    }
    return made("BackendTLSPolicy", draw(names), spec, draw(namespaces))


@st.composite
def traffic_policies(draw):
    spec = {"targetRefs": [{"group": "", "kind": "Service", "name": draw(targets)}], "retryConstraint": {}}
    data = {
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
        "kind": "XBackendTrafficPolicy",
        "metadata": {"name": draw(names), "namespace": draw(namespaces)},
        "spec": spec,
    }
    (item,) = load_object(data, "test").objects
    return item


changes = st.lists(
    st.tuples(
        st.one_of(
            services(),
            entries(),
            gateways(),
            routes(),
            routes(),
            routes(),
            grants(),
            policies(),
            traffic_policies(),
        ),
        st.booleans(),
    ),
    min_size=1,
    max_size=14,
)


def meaning(attached):
    return {name: getattr(attached, name) for name in SAID}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(changes)
def test_step_by_step_is_the_same_as_at_once(found):
    store = Store()
    attached = attach(store.snapshot)
    for item, stays in found:
        before, said = attached, meaning(attached)
        said = {name: dict(value) for name, value in said.items()}
        snapshot = store.apply("test", [item] if stays else [], [] if stays else [key_of(item)])
        attached = attach(snapshot, previous=attached)
        assert meaning(attached) == meaning(attach(snapshot))
        if before is not attached:
            assert meaning(before) == said, "what was said before is left as it was"
