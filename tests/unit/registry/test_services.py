from tests.meshes import make, pod, service

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
