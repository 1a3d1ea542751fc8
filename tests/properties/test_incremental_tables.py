"""Whatever the order of changes: tables made step by step mean the same as tables made at once, also on the wire."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.meshes import make, pod, request, service

from nodemesh.registry.assemble import key_of
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.view import Views
from nodemesh.routing.wire import apply_update, encode_update

NAMESPACES = ("a", "b")
NAMES = ("s0", "s1")

names = st.sampled_from(NAMES)
namespaces = st.sampled_from(NAMESPACES)
subsets = st.sampled_from(("", "v1", "v2", "missing"))
hosts = st.sampled_from(("s0", "s1", "s0.a.svc.cluster.local", "s1.b.svc.cluster.local", "ext.example.com", "nowhere"))
export_to = st.sampled_from(([], ["."], ["*"], ["a"]))


@st.composite
def services(draw):
    name, namespace = draw(names), draw(namespaces)
    index = NAMES.index(name) * 2 + NAMESPACES.index(namespace)
    ip = draw(st.sampled_from((f"10.96.0.{index}", f"10.96.1.{index}", "None")))
    port = draw(st.sampled_from(((80, "http"), (80, ""), (80, "tcp"), (81, "http"))))
    return service(name, ip, port, namespace=namespace)


@st.composite
def pods(draw):
    name, namespace, number = draw(names), draw(namespaces), draw(st.integers(1, 2))
    labels = {"app": name, "version": draw(st.sampled_from(("v1", "v2")))}
    return pod(
        f"{name}-{number}", f"10.1.0.{draw(st.integers(1, 9))}", labels, ready=draw(st.booleans()), namespace=namespace
    )


@st.composite
def entries(draw):
    spec = {
        "hosts": draw(st.sampled_from((["ext.example.com"], ["*.example.com"], ["s0.a.svc.cluster.local"]))),
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "addresses": draw(st.sampled_from(([], ["10.97.0.1"], ["10.98.0.0/24"]))),
        "exportTo": draw(export_to),
    }
    if draw(st.booleans()):
        spec["endpoints"] = [{"address": "192.0.2.1"}]
    else:
        spec["workloadSelector"] = {"labels": {"app": draw(names)}}
    return make("ServiceEntry", draw(st.sampled_from(("e0", "e1"))), spec, namespace=draw(namespaces))


@st.composite
def virtual_services(draw):
    rules = []
    for _ in range(draw(st.integers(1, 2))):
        match = draw(
            st.sampled_from(
                (
                    [],
                    [{"uri": {"prefix": "/x"}}],
                    [{"headers": {"h": {"exact": "1"}}}],
                    [{"sourceLabels": {"app": "web"}}],
                    [{"port": 81}],
                )
            )
        )
        destination = {"host": draw(hosts)}
        subset = draw(subsets)
        rules.append(
            {"match": match, "route": [{"destination": {**destination, **({"subset": subset} if subset else {})}}]}
        )
    if draw(st.booleans()):
        rules.insert(0, {"match": [{"uri": {"prefix": "/d"}}], "delegate": {"name": "d"}})
    spec = {"hosts": [draw(hosts)], "http": rules, "exportTo": draw(export_to)}
    return make("VirtualService", draw(st.sampled_from(("r0", "r1"))), spec, namespace=draw(namespaces))


@st.composite
def delegates(draw):
    spec = {"http": [{"match": [{"uri": {"prefix": "/d/e"}}], "route": [{"destination": {"host": draw(hosts)}}]}]}
    return make("VirtualService", "d", spec, namespace=draw(namespaces))


@st.composite
def destination_rules(draw):
    versions = draw(st.sets(st.sampled_from(("v1", "v2"))))
    spec = {
        "host": draw(st.sampled_from(("s0", "s1.b.svc.cluster.local", "*.svc.cluster.local", "ext.example.com"))),
        "exportTo": draw(export_to),
        "subsets": [{"name": name, "labels": {"version": name}} for name in sorted(versions)],
    }
    if draw(st.booleans()):
        spec["trafficPolicy"] = {"outlierDetection": {}}
    return make("DestinationRule", draw(st.sampled_from(("d0", "d1"))), spec, namespace=draw(namespaces))


@st.composite
def others(draw):
    if draw(st.booleans()):
        spec = {"egress": [{"hosts": draw(st.sampled_from((["./*"], ["*/*"], ["b/*"])))}]}
        return make("Sidecar", "sidecar", spec, namespace=draw(namespaces))
    mode = draw(st.sampled_from(("ALLOW_ANY", "REGISTRY_ONLY")))
    return make("MeshConfig", "mesh", {"outboundTrafficPolicy": {"mode": mode}}, namespace="istio-system")


objects = st.one_of(services(), pods(), entries(), virtual_services(), delegates(), destination_rules(), others())
changes = st.lists(st.lists(st.tuples(st.booleans(), objects), min_size=1, max_size=4), min_size=1, max_size=6)

#: Where every sequence begins, so that changes meet something that depends on them.
BASE = [
    *(service(name, f"10.96.0.{index}", (80, "http"), namespace="a") for index, name in enumerate(NAMES)),
    service("s1", "10.96.0.3", (80, "http"), namespace="b"),
    pod("s0-1", "10.1.0.5", {"app": "s0", "version": "v1"}, namespace="a"),
    pod("s1-1", "10.1.0.6", {"app": "s1", "version": "v2"}, namespace="b"),
    make(
        "VirtualService",
        "r0",
        {
            "hosts": ["s0"],
            "http": [
                {"match": [{"uri": {"prefix": "/d"}}], "delegate": {"name": "d"}},
                {"route": [{"destination": {"host": "s1", "subset": "v1"}}]},
            ],
        },
        namespace="a",
    ),
]

CLIENTS = (
    Client(namespace="a"),
    Client(namespace="a", labels={"app": "web"}),
    Client(namespace="b"),
)
PROBES = [
    request(path, host, headers=headers)
    for path in ("/", "/x/y", "/d/e/f")
    for host in ("s0", "s1.b", "ext.example.com", "nowhere", "10.96.0.0")
    for headers in ({}, {"h": "1"})
]
DIALLED = (
    ("10.96.0.0", 80),
    ("10.96.1.3", 81),
    ("10.1.0.5", 80),
    ("10.97.0.1", 80),
    ("10.98.0.9", 80),
    ("203.0.113.1", 80),
)


def meaning(views):
    found = []
    for client in CLIENTS:
        view = views.for_client(client)
        found.append(
            sorted((str(front.addresses), front.port, front.mode, front.mode_reason) for front in view.frontends())
        )
        for address, port in DIALLED:
            frontend = view.frontend(address, port)
            found.append((frontend, view.tcp(frontend), view.tls(frontend, "ext.example.com")))
            found.extend(view.http(frontend, probe) for probe in PROBES)
    return found


def assert_shared(before, after):
    """What is equal must be the same object."""
    for attribute in ("services", "virtual_services", "virtual_hosts", "destination_rules"):
        old, new = getattr(before, attribute), getattr(after, attribute)
        for key in old.keys() & new.keys():
            assert (old[key] == new[key]) == (old[key] is new[key]), (attribute, key)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(changes)
def test_step_by_step_means_the_same_as_at_once(batches):
    store, held = Store(), {}
    batches = [[(True, item) for item in BASE], *batches]
    tables = views = remote = remote_views = None
    for batch in batches:
        changed = [item for keep, item in batch if keep]
        gone = [key_of(item) for keep, item in batch if not keep]
        for item in changed:
            held[key_of(item)] = item
        for key in gone:
            held.pop(key, None)
        snapshot = store.apply("test", changed, gone)
        if tables is not None and snapshot is tables.snapshot:
            continue
        previous, tables = tables, compile_tables(snapshot, tables)
        if previous is not None and previous.mesh is tables.mesh:
            assert_shared(previous, tables)
        remote = apply_update(remote, encode_update(previous, tables))
        views, remote_views = Views(tables, views), Views(remote, remote_views)
        at_once = Views(compile_tables(Store().apply("test", held.values())))
        expected = meaning(at_once)
        assert meaning(views) == expected
        assert meaning(remote_views) == expected
