"""Whatever the order of changes: tables made step by step mean the same as tables made at once, also on the wire."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.meshes import make, pod, request, service

from nodemesh.config.kinds import KINDS as KNOWN_KINDS
from nodemesh.registry.assemble import key_of
from nodemesh.registry.snapshot import Locality
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.listing import changed_places
from nodemesh.routing.observation import observation_of
from nodemesh.routing.views import Views
from nodemesh.routing.wire import apply_update, encode_update

NAMESPACES = ("a", "b")
NAMES = ("s0", "s1")

names = st.sampled_from(NAMES)
namespaces = st.sampled_from(NAMESPACES)
subsets = st.sampled_from(("", "v1", "v2", "missing"))
hosts = st.sampled_from(("s0", "s1", "s0.a.svc.cluster.local", "s1.b.svc.cluster.local", "ext.example.com", "nowhere"))
wide = st.sampled_from(("*.a.svc.cluster.local", "*.example.com", "*.ext.example.com"))
export_to = st.sampled_from(([], ["."], ["*"], ["a"]))


@st.composite
def services(draw):
    name, namespace = draw(names), draw(namespaces)
    index = NAMES.index(name) * 2 + NAMESPACES.index(namespace)
    ip = draw(st.sampled_from((f"10.96.0.{index}", f"10.96.1.{index}", "None")))
    port = draw(st.sampled_from(((80, "http"), (80, ""), (80, "tcp"), (81, "http"))))
    target = draw(st.sampled_from(("", "", "s0.a.svc.cluster.local", "s1.b.svc.cluster.local", "ext.example.com")))
    if target:
        spec = {"type": "ExternalName", "externalName": target, "ports": [{"port": 80, "name": "http"}]}
        return make("Service", name, spec, namespace=namespace)
    return service(name, ip, port, namespace=namespace)


@st.composite
def pods(draw):
    name, namespace, number = draw(names), draw(namespaces), draw(st.integers(1, 2))
    labels = {"app": name, "version": draw(st.sampled_from(("v1", "v2")))}
    address, ready, node = f"10.1.0.{draw(st.integers(1, 9))}", draw(st.booleans()), draw(st.sampled_from(("", "n0")))
    return pod(f"{name}-{number}", address, labels, ready=ready, node=node, namespace=namespace)


@st.composite
def entries(draw):
    spec = {
        "hosts": draw(st.sampled_from((["ext.example.com"], ["*.example.com"], ["s0.a.svc.cluster.local"]))),
        "ports": [
            {"number": draw(st.sampled_from((80, 81))), "name": "http", "protocol": "HTTP"},
            {"number": 443, "name": "tls", "protocol": "TLS"},
        ],
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
    gateways = draw(st.sampled_from(([], ["g0"], ["mesh", "a/g0"])))
    own = draw(st.lists(st.one_of(hosts, wide), min_size=1, max_size=2, unique=True))
    spec = {"hosts": own, "http": rules, "exportTo": draw(export_to), "gateways": gateways}
    if draw(st.booleans()):
        spec["tcp"] = [{"route": [{"destination": {"host": draw(hosts)}}]}]
    if draw(st.booleans()):
        route = [{"destination": {"host": draw(hosts)}}]
        spec["tls"] = [{"match": [{"sniHosts": ["ext.example.com"]}], "route": route}]
    return make("VirtualService", draw(st.sampled_from(("r0", "r1"))), spec, namespace=draw(namespaces))


@st.composite
def delegates(draw):
    spec = {"http": [{"match": [{"uri": {"prefix": "/d/e"}}], "route": [{"destination": {"host": draw(hosts)}}]}]}
    return make("VirtualService", "d", spec, namespace=draw(namespaces))


#: Prefers endpoints with the client's own version.
NEAR = {"outlierDetection": {}, "loadBalancer": {"localityLbSetting": {"failoverPriority": ["version"]}}}


@st.composite
def destination_rules(draw):
    versions = draw(st.sets(st.sampled_from(("v1", "v2"))))
    spec = {
        "host": draw(st.sampled_from(("s0", "s1.b.svc.cluster.local", "*.svc.cluster.local", "ext.example.com"))),
        "exportTo": draw(export_to),
        "subsets": [{"name": name, "labels": {"version": name}} for name in sorted(versions)],
    }
    policy = draw(st.sampled_from(({}, {"outlierDetection": {}}, NEAR, {"loadBalancer": {"simple": "RANDOM"}})))
    if policy:
        spec["trafficPolicy"] = policy
    if draw(st.booleans()):
        spec["workloadSelector"] = {"matchLabels": {"app": "web"}}
    return make("DestinationRule", draw(st.sampled_from(("d0", "d1"))), spec, namespace=draw(namespaces))


@st.composite
def slices(draw):
    name, namespace = draw(names), draw(namespaces)
    target = {"kind": "Pod", "namespace": namespace, "name": f"{name}-1"}
    ready = {"ready": draw(st.booleans())}
    endpoints = [{"addresses": [f"10.1.0.{draw(st.integers(1, 9))}"], "targetRef": target, "conditions": ready}]
    port = draw(st.sampled_from(({"name": "http", "port": 8080}, {"name": "", "port": 8080})))
    labels = {"kubernetes.io/service-name": name}
    return make(
        "EndpointSlice", f"{name}-slice", {"endpoints": endpoints, "ports": [port]}, namespace=namespace, labels=labels
    )


@st.composite
def workload_entries(draw):
    spec = {"address": f"192.0.2.{draw(st.integers(1, 3))}", "labels": {"app": draw(names)}}
    if draw(st.booleans()):
        spec["locality"] = "r1/z2"
    return make("WorkloadEntry", "w", spec, namespace=draw(namespaces))


@st.composite
def nodes(draw):
    labels = {"topology.kubernetes.io/region": "r1", "topology.kubernetes.io/zone": draw(st.sampled_from(("z1", "z2")))}
    return make("Node", draw(st.sampled_from(("n0", "n1"))), {}, labels=labels)


@st.composite
def namespace_objects(draw):
    return make("Namespace", draw(namespaces), {}, labels={"mesh": draw(st.sampled_from(("in", "out")))})


@st.composite
def gateways(draw):
    protocol = draw(st.sampled_from(("HTTP", "TCP")))
    servers = [
        {
            "port": {"number": draw(st.sampled_from((80, 81))), "name": "p", "protocol": protocol},
            "hosts": draw(st.sampled_from((["*"], ["ext.example.com"], ["./*"], ["b/*"]))),
        }
    ]
    spec = {"selector": {"istio": "ingress"}, "servers": servers}
    return make("Gateway", draw(st.sampled_from(("g0", "g1"))), spec, namespace=draw(namespaces))


@st.composite
def sidecars(draw):
    spec: dict[str, Any] = {
        "egress": [{"hosts": draw(st.sampled_from((["./*"], ["*/*"], ["b/*"], ["*/s0.a.svc.cluster.local"])))}]
    }
    if draw(st.booleans()):
        spec["workloadSelector"] = {"labels": {"app": "web"}}
    if draw(st.booleans()):
        spec["outboundTrafficPolicy"] = {"mode": "REGISTRY_ONLY"}
    return make("Sidecar", draw(st.sampled_from(("c0", "c1"))), spec, namespace=draw(namespaces))


@st.composite
def mesh_configs(draw):
    spec = draw(
        st.sampled_from(
            (
                {"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}},
                {"defaultServiceExportTo": ["."]},
                {"defaultDestinationRuleExportTo": ["."], "rootNamespace": "b"},
                {"l7": "always"},
                {"dnsCapture": True},
                {"localityLbSetting": {"enabled": False}},
                {"discoverySelectors": [{"matchLabels": {"mesh": "in"}}]},
            )
        )
    )
    return make("MeshConfig", "mesh", spec, namespace="istio-system")


@st.composite
def telemetries(draw):
    spec: dict[str, Any] = {"accessLogging": [{"disabled": draw(st.booleans())}]}
    if draw(st.booleans()):
        spec["selector"] = {"matchLabels": {"app": draw(st.sampled_from(("s0", "web")))}}
    return make("Telemetry", draw(names), spec, namespace=draw(st.sampled_from((*NAMESPACES, "istio-system"))))


KINDS = {
    "Service": services(),
    "Pod": pods(),
    "EndpointSlice": slices(),
    "Node": nodes(),
    "Namespace": namespace_objects(),
    "ServiceEntry": entries(),
    "WorkloadEntry": workload_entries(),
    "VirtualService": st.one_of(virtual_services(), delegates()),
    "DestinationRule": destination_rules(),
    "Gateway": gateways(),
    "Sidecar": sidecars(),
    "Telemetry": telemetries(),
    "MeshConfig": mesh_configs(),
}
objects = st.one_of(*KINDS.values())
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
    Client(namespace="a", labels={"app": "web", "version": "v1"}, locality=Locality(region="r1", zone="z1")),
    Client(namespace="b"),
)
GATEWAY = Client(namespace="a", labels={"istio": "ingress"}, gateway=True)
PROBES = [
    request(path, host, headers=headers)
    for path in ("/", "/x/y", "/d/e/f")
    for host in ("s0", "s1.b", "ext.example.com", "x.ext.example.com", "x.a.svc.cluster.local", "nowhere", "10.96.0.0")
    for headers in ({}, {"h": "1"})
]
DIALLED = (
    ("10.96.0.0", 80),
    ("10.96.1.3", 81),
    ("10.1.0.5", 80),
    ("10.97.0.1", 80),
    ("10.98.0.9", 80),
    ("203.0.113.1", 80),
    ("10.97.0.1", 443),
    ("10.98.0.9", 443),
    ("203.0.113.1", 443),
)


def meaning(views):
    found: list[object] = []
    for client in CLIENTS:
        view = views.for_client(client)
        found.append(observation_of(view.tables, client.namespace, client.labels))
        found.append(
            sorted((str(front.addresses), front.port, front.mode, front.mode_reason) for front in view.frontends())
        )
        for address, port in DIALLED:
            frontend = view.frontend(address, port)
            found.append((frontend, view.tcp(frontend)))
            found.extend(view.tls(frontend, name, address) for name in ("ext.example.com", "s0.a", "no", ""))
            found.extend(view.http(frontend, probe) for probe in PROBES)
    view = views.for_client(GATEWAY)
    found.append(view.servers())
    for port in (80, 81):
        found.extend(view.http_gateway(port, probe) for probe in PROBES)
        found.append(view.tcp_gateway(port))
    return found


def assert_shared(before, after):
    """What is equal must be the same object, in the snapshots and (with the same mesh settings) in the tables."""
    pairs = [
        (attribute, getattr(before.snapshot, attribute), getattr(after.snapshot, attribute))
        for attribute in ("services", "workloads", "namespaces", "virtual_services", "destination_rules", "gateways")
    ]
    if before.mesh is after.mesh:
        maps = ("virtual_services", "virtual_hosts", "destination_rules", "addresses")
        pairs += [(attribute, getattr(before, attribute), getattr(after, attribute)) for attribute in maps]
        for attribute in ("wildcard_services", "wildcard_virtual_hosts", "wildcard_destination_rules"):
            old, new = getattr(before, attribute), getattr(after, attribute)
            assert (old == new) == (old is new), attribute
    for attribute, old, new in pairs:
        for key in old.keys() & new.keys():
            assert (old[key] == new[key]) == (old[key] is new[key]), (attribute, key)


def listed(view):
    """A client's frontends by host, and what they were made from."""
    list(view.frontends())
    return view._frontends._listing._hosts


def assert_frontends_kept(before, after):
    """Frontends of hosts that no change concerns are the same objects as before."""
    changed = changed_places(after.tables, before.tables)
    for client in CLIENTS:
        old, new = before.for_client(client), after.for_client(client)
        if old.tables.mesh is not new.tables.mesh or old.scope.sidecar is not new.scope.sidecar:
            continue
        if before.tables.client_labels != after.tables.client_labels:
            continue  # clients are told apart in another way: their views start anew
        old_hosts, new_hosts = listed(old), listed(new)
        for host in old_hosts.keys() & new_hosts.keys():
            if old_hosts[host].reads.isdisjoint(changed):
                assert new_hosts[host] is old_hosts[host], host


def test_every_kind_that_counts_is_among_the_changes():
    unread = {"WorkloadGroup", "Secret", "ConfigMap"}  # nothing of the tables is made of them
    read = {name for group, name in KNOWN_KINDS if not group.startswith("gateway.networking.")} - unread
    assert KINDS.keys() == read


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
        if previous is not None:
            assert_shared(previous, tables)
        remote = apply_update(remote, encode_update(previous, tables))
        views_before = views
        views, remote_views = Views(tables, views), Views(remote, remote_views)
        at_once = Views(compile_tables(Store().apply("test", held.values())))
        expected = meaning(at_once)
        assert meaning(views) == expected
        assert meaning(remote_views) == expected
        if views_before is not None:
            assert_frontends_kept(views_before, views)
