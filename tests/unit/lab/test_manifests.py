"""The lab's YAML is read back by config as what the lab meant."""

from nodemesh.config.load import load_text
from nodemesh.lab.manifests import NodeRecord, documents
from nodemesh.lab.pod import PodRecord
from nodemesh.lab.service import LabPort, LabService

NODE = NodeRecord(name="node-1", labels={"topology.kubernetes.io/zone": "1"}, ips=("10.244.0.1",))
POD = PodRecord(
    name="web-1",
    namespace="shop",
    uid="00000000-0000-4000-8000-000000000001",
    container_id="ab" * 32,
    labels={"app": "web", "version": "1.0", "canary": "true", "empty": ""},
    annotations={"note": 'a "quoted": # note\nin two lines'},
    ips=("10.244.0.2", "fd00:10:244::2"),
    ports={"http": 8080},
    owner="web-5d4f",
    ready=False,
)
SERVICE = LabService(
    name="web",
    namespace="shop",
    addresses=("10.96.0.1",),
    ports=(LabPort(80, "http", name="http", app_protocol="http"),),
    selector={"app": "web"},
)


def loaded(text):
    found = load_text(text, "lab.yaml")
    assert found.problems == ()
    return {one.kind: one for one in found.objects}


def test_every_object_is_read_back_as_it_was_meant():
    objects = loaded(documents(NODE, {"shop": {"team": "null"}}, [POD], [SERVICE]))
    assert list(objects) == ["Node", "Namespace", "Service", "Pod"]
    assert objects["Node"].meta.labels["topology.kubernetes.io/zone"] == "1"
    assert objects["Namespace"].meta.labels == {"kubernetes.io/metadata.name": "shop", "team": "null"}

    pod = objects["Pod"]
    assert (pod.meta.key, pod.meta.uid) == ("shop/web-1", POD.uid)
    assert (pod.meta.labels, pod.meta.annotations) == (POD.labels, POD.annotations)
    assert pod.spec.node_name == "node-1"
    assert pod.spec.containers[0].ports[0].container_port == 8080
    assert tuple(one.ip for one in pod.spec.status.pod_ips) == POD.ips
    assert {one.type: one.status for one in pod.spec.status.conditions}["Ready"] == "False"
    assert pod.spec.status.container_statuses[0].container_id == f"containerd://{POD.container_id}"
    assert [one.name for one in pod.spec.owners] == ["web-5d4f"]

    service = objects["Service"].spec
    assert (service.cluster_ip, service.selector) == ("10.96.0.1", {"app": "web"})
    port = service.ports[0]
    assert (port.port, port.target_port, port.name, port.app_protocol) == (80, "http", "http", "http")


def test_a_headless_service_says_none():
    headless = LabService(name="db", namespace="shop", addresses=(), ports=(LabPort(5432, name="tcp"),), selector={})
    spec = loaded(documents(NODE, {}, [], [headless]))["Service"].spec
    assert (spec.cluster_ip, spec.ports[0].target_port) == ("None", 5432)
