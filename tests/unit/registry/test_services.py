from tests.meshes import make, pod, service

from nodemesh.config.load import load_object
from nodemesh.registry.assemble import Assembler, key_of
from nodemesh.registry.slices import SERVICE_NAME_LABEL, with_former
from nodemesh.registry.snapshot import Health, Locality, Resolution
from nodemesh.registry.store import Store


def host_of(objects, host="web.default.svc.cluster.local"):
    (found,) = Store().apply("test", objects).services[host]
    return found


def web(**spec):
    ports = spec.pop("ports", [{"port": 80, "name": "http", "targetPort": "web"}])
    return make("Service", "web", {"clusterIP": "10.96.0.1", "selector": {"app": "web"}, "ports": ports, **spec})


def web_pod(name, ip, *, ports=(("web", 8080),), phase="Running", conditions=None, **meta):
    spec = {
        "containers": [{"ports": [{"name": title, "containerPort": number} for title, number in ports]}],
        "status": {"podIP": ip, "phase": phase, "conditions": conditions or []},
    }
    return make("Pod", name, spec, labels={"app": "web"}, **meta)


def test_endpoints_come_from_the_selected_pods_with_named_target_ports():
    found = host_of(
        [
            web(),
            web_pod("a", "10.1.0.1"),
            web_pod("b", "10.1.0.2", ports=(("web", 9090),)),
            web_pod("c", "10.1.0.3", ports=(("other", 1),)),
            web_pod("d", "10.1.0.4", phase="Succeeded"),
            web_pod("e", "", phase="Pending"),
            web_pod("f", "10.1.0.6", namespace="elsewhere"),
        ]
    )
    assert [(endpoint.address, endpoint.port) for endpoint in found.endpoints[80]] == [
        ("10.1.0.1", 8080),
        ("10.1.0.2", 9090),
    ]


def test_readiness_is_the_ready_condition_else_the_phase():
    ready, unready = [{"type": "Ready", "status": "True"}], [{"type": "Ready", "status": "False"}]
    found = host_of(
        [
            web(),
            web_pod("a", "10.1.0.1", conditions=ready),
            web_pod("b", "10.1.0.2", conditions=unready),
            web_pod("c", "10.1.0.3"),
            web_pod("d", "10.1.0.4", phase="Pending"),
            web_pod("e", "10.1.0.5", conditions=ready, deleting=True),
        ]
    )
    assert [endpoint.health for endpoint in found.endpoints[80]] == [
        Health.READY,
        Health.UNREADY,
        Health.READY,
        Health.UNREADY,
        Health.DRAINING,
    ]


def test_slices_come_before_the_selector():
    piece = make(
        "EndpointSlice",
        "web-1",
        {
            "ports": [{"name": "http", "port": 8443}],
            "endpoints": [
                {"addresses": ["10.1.0.1"], "targetRef": {"kind": "Pod", "name": "a"}, "zone": "z1"},
                {"addresses": ["10.1.0.8"], "conditions": {"ready": False}},
                {"addresses": ["10.1.0.9"], "conditions": {"ready": False, "serving": True, "terminating": True}},
                {"addresses": ["10.1.0.1"]},
            ],
        },
        labels={"kubernetes.io/service-name": "web"},
    )
    found = host_of([web(), web_pod("a", "10.1.0.1"), web_pod("b", "10.1.0.2"), piece]).endpoints[80]
    assert [(endpoint.address, endpoint.port, endpoint.health) for endpoint in found] == [
        ("10.1.0.1", 8443, Health.READY),
        ("10.1.0.8", 8443, Health.UNREADY),
        ("10.1.0.9", 8443, Health.DRAINING),
    ]
    assert found[0].labels == {"app": "web"} and found[0].workload == "default/a"
    assert found[0].locality == Locality(zone="z1")


def test_locality_is_the_nodes_and_follows_it():
    store = Store()
    node = make("Node", "n1", labels={"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "z"})
    on_node = pod("a", "10.1.0.1", {"app": "web"}, node="n1")
    snapshot = store.apply("test", [web(ports=[{"port": 80}]), on_node, node])
    (found,) = snapshot.services["web.default.svc.cluster.local"]
    assert found.endpoints[80][0].locality == Locality(region="r", zone="z")
    moved = make("Node", "n1", labels={"topology.kubernetes.io/region": "r", "topology.kubernetes.io/zone": "y"})
    (found,) = store.apply("test", [moved]).services["web.default.svc.cluster.local"]
    assert found.endpoints[80][0].locality.zone == "y"


def test_headless_external_name_and_both_families():
    assert host_of([web(clusterIP="None")]).resolution is Resolution.HEADLESS
    assert host_of([web(clusterIP="None")]).addresses == ()
    dual = host_of([web(clusterIPs=["10.96.0.1", "FD00::00:1"])])
    assert dual.addresses == ("10.96.0.1", "fd00::1")
    alias = host_of([web(type="ExternalName", externalName="db.example.com", clusterIP="")])
    assert alias.resolution is Resolution.ALIAS and alias.external
    assert (alias.alias_of, alias.endpoints) == ("db.example.com", {})


def test_export_to_is_the_annotation_else_the_meshs_default():
    def exported(*objects, **meta):
        return host_of([service("web", "10.96.0.1", **meta), *objects]).export_to

    assert exported() == ("*",)
    assert exported(annotations={"networking.istio.io/exportTo": "., prod"}) == ("default", "prod")
    assert exported(annotations={"networking.istio.io/exportTo": "~"}) == ()
    assert exported(make("MeshConfig", "mesh", {"defaultServiceExportTo": ["."]})) == ("default",)


def test_traffic_distribution_is_the_field_else_the_annotation_else_the_namespaces():
    annotation = "networking.istio.io/traffic-distribution"

    def distribution(given="", own=None, namespace=None):
        objects = [make("Namespace", "default", annotations={annotation: namespace} if namespace else {})]
        annotations = {annotation: own} if own is not None else {}
        spec = {"clusterIP": "10.96.0.1", "ports": [{"port": 80}], "trafficDistribution": given}
        return host_of([*objects, make("Service", "web", spec, annotations=annotations)]).traffic_distribution

    assert distribution("PreferClose", "PreferSameNode") == "PreferSameZone"
    assert distribution("", "prefersamenode", "PreferSameZone") == "PreferSameNode"
    assert distribution("", None, "PreferSameZone") == "PreferSameZone"
    assert distribution("", "Any", "PreferSameZone") == distribution() == ""


def test_an_entrys_traffic_distribution_is_its_annotation():
    annotation = {"networking.istio.io/traffic-distribution": "PreferClose"}
    spec = {"hosts": ["web.example"], "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}]}
    entry = make("ServiceEntry", "web", spec, annotations=annotation)
    assert host_of([entry], "web.example").traffic_distribution == "PreferSameZone"


# Where a slice and its pod disagree, the worse of the two counts.

PODS = "10.1.0.1"


def slice_of(uid="u1", ready=True, **conditions):
    target = {"kind": "Pod", "name": "a", "uid": uid}
    entry = {"addresses": [PODS], "conditions": {"ready": ready, **conditions}, "targetRef": target}
    spec = {"ports": [{"name": "http", "port": 8080}], "endpoints": [entry]}
    return make("EndpointSlice", "web-1", spec, labels={"kubernetes.io/service-name": "web"})


def health_of(store, *changed, removed=()):
    (found,) = store.apply("test", changed, removed).services["web.default.svc.cluster.local"]
    (endpoint,) = found.endpoints[80]
    return endpoint.health


NOT_READY = [{"type": "Ready", "status": "False"}]


def test_a_pod_that_begins_to_leave_is_out_before_its_slice_says_so():
    store = Store()
    assert health_of(store, web(), slice_of(), web_pod("a", PODS, uid="u1")) is Health.READY
    assert health_of(store, web_pod("a", PODS, uid="u1", deleting=True)) is Health.DRAINING
    assert health_of(store, slice_of(ready=False, serving=True, terminating=True)) is Health.DRAINING
    assert health_of(store, slice_of(ready=False, serving=False, terminating=True)) is Health.UNREADY


def test_a_pod_that_is_not_ready_any_more_is_out_and_comes_back_when_both_say_so():
    store = Store()
    assert health_of(store, web(), slice_of(), web_pod("a", PODS, conditions=NOT_READY)) is Health.UNREADY
    assert health_of(store, slice_of(ready=False)) is Health.UNREADY
    assert health_of(store, web_pod("a", PODS)) is Health.UNREADY, "the slice does not say so yet"
    assert health_of(store, slice_of()) is Health.READY


def test_a_service_that_publishes_what_is_not_ready_does_not_ask_for_readiness():
    store = Store()
    everything = web(publishNotReadyAddresses=True)
    assert health_of(store, everything, slice_of(), web_pod("a", PODS, conditions=NOT_READY)) is Health.READY
    leaving = web_pod("a", PODS, conditions=NOT_READY, deleting=True)
    assert health_of(store, leaving) is Health.DRAINING
    assert health_of(store, web_pod("a", PODS, phase="Failed", conditions=NOT_READY)) is Health.UNREADY


def test_a_deleted_pod_stays_out_whatever_a_slice_that_lags_says():
    store = Store()
    assert health_of(store, web(), slice_of(), web_pod("a", PODS, uid="u1")) is Health.READY
    gone = key_of(web_pod("a", PODS))
    assert health_of(store, removed=[gone]) is Health.UNREADY
    replacement = web_pod("a", "10.1.0.2", uid="u2")  # a StatefulSet's next pod has the same name
    assert health_of(store, replacement) is Health.UNREADY
    assert health_of(store, slice_of(uid="u2")) is Health.READY
    store.apply("test", removed=[key_of(slice_of())])
    assert health_of(store, slice_of(uid="u1")) is Health.READY, "nothing is remembered once no slice names it"


def test_a_replaced_pods_slice_says_nothing_of_its_successor_nor_the_other_way_round():
    store = Store()
    leaving = web_pod("a", PODS, uid="u2", deleting=True)
    assert health_of(store, web(), slice_of(uid="u1"), leaving) is Health.READY
    assert health_of(store, slice_of(uid="u2")) is Health.DRAINING


def test_a_pod_that_a_new_list_has_again_is_back():
    store = Store()
    one = web_pod("a", PODS, uid="u1")
    health_of(store, web(), slice_of(), one)
    assert health_of(store, removed=[key_of(one)]) is Health.UNREADY
    assert health_of(store, one) is Health.READY


def test_pods_that_leave_drain_behind_entries_too():
    selected = {"hosts": ["db.example"], "ports": [{"number": 80, "name": "tcp", "protocol": "TCP"}],
                "resolution": "STATIC", "workloadSelector": {"labels": {"app": "web"}}}  # fmt: skip
    entry = make("ServiceEntry", "db", selected)
    found = host_of([entry, web_pod("a", PODS, deleting=True), web_pod("b", "10.1.0.2")], "db.example")
    assert [endpoint.health for endpoint in found.endpoints[80]] == [Health.DRAINING, Health.READY]


class Unwalked(dict):
    """A mapping that may be asked, and not be gone through."""

    def __iter__(self):
        raise AssertionError("a change costs what it touches, not what there is")

    keys = values = items = __iter__


def test_a_changed_slice_costs_nothing_for_the_pods_of_others():
    assembler = Assembler()

    def piece(address):
        data = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "namespace": "default", "labels": {SERVICE_NAME_LABEL: "web"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "targetRef": {"kind": "Pod", "name": f"pod-{address}"}}],
        }
        (found,) = load_object(data, "test").objects
        return {key_of(found): found}

    assembler.update(piece("10.1.0.1"))
    assembler._references = Unwalked(assembler._references)
    assembler.update(piece("10.1.0.2"))
    assert dict.keys(assembler._references) == {"default/pod-10.1.0.2"}


def several(*addresses, ready=True):
    """A slice of the service `web`."""
    ends = [{"addresses": [one], "conditions": {"ready": ready or number > 0}} for number, one in enumerate(addresses)]
    spec = {"endpoints": ends, "ports": [{"name": "http", "port": 8080}]}
    return make("EndpointSlice", "web-1", spec, labels={SERVICE_NAME_LABEL: "web"})


def test_endpoints_that_stay_are_the_very_same_objects():
    """Else what changes a little again and again scatters over memory, and what was shared is held twice."""
    before, after = several("10.1.0.1", "10.1.0.2"), several("10.1.0.3", "10.1.0.1", "10.1.0.2")
    kept = with_former(after, before)
    assert kept == after
    assert [end is old for end, old in zip(kept.spec.endpoints[1:], before.spec.endpoints, strict=True)] == [True, True]
    other = with_former(several("10.1.0.1", ready=False), before)
    assert other == several("10.1.0.1", ready=False)

    store = Store()
    (first,) = store.apply("test", [web(), before]).services["web.default.svc.cluster.local"]
    (second,) = store.apply("test", [after]).services["web.default.svc.cluster.local"]
    assert [end.address for end in second.endpoints[80]] == ["10.1.0.3", "10.1.0.1", "10.1.0.2"]
    assert second.endpoints[80][1] is first.endpoints[80][0] and second.endpoints[80][2] is first.endpoints[80][1]
    (third,) = store.apply("test", [several("10.1.0.3", ready=False)]).services["web.default.svc.cluster.local"]
    assert [end.health for end in third.endpoints[80]] == [Health.UNREADY]
