"""kubectl applies every kustomization; nothing in them is unknown, unused or more than it says."""

import json
import os
import re
import subprocess
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.apiserver.defaults import completed
from tests.apiserver.etcd import key_of
from tests.apiserver.kinds import Kind, route_kinds
from tests.apiserver.running import kubeconfig, running
from tests.apiserver.server import ApiServer
from tests.unit.node.numbers import FULL

from nodemesh.cli.main import cli
from nodemesh.cli.run import PEERS_PORT, PEERS_TOKEN
from nodemesh.node.metrics import families, page_families
from nodemesh.node.peer_door import ACCOUNT, AUDIENCE
from nodemesh.node.peers import SERVICE
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.sources.cluster import ResourceStatus
from nodemesh.registry.sources.definitions import DEFINITIONS
from nodemesh.registry.sources.reflector import Phase
from nodemesh.registry.sources.resources import resources
from nodemesh.telemetry.exposition import MetricsPage, render

MANIFESTS = Path(__file__).parents[2] / "manifests"
KUSTOMIZATIONS = [
    "crds/istio",
    ".",
    "gateway",
    "overlays/monitoring",
    "overlays/admission",
    "overlays/status",
    "overlays/gateways",
    "overlays/relay",
]

#: kubectl keeps what it applied in an annotation, and annotations have a bound.
MAX_APPLIED = 256 * 1024


#: The server validates, strictly; older clients' own validation wants schemas in protobuf.
APPLY = ("apply", "--validate=false")


def kubectl(config: Path, *arguments: str) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(config.parent)}
    command = ["kubectl", "--kubeconfig", str(config), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def built(folder: str, tmp_path: Path) -> list[dict]:
    return list(yaml.safe_load_all(kubectl(tmp_path / "none", "kustomize", str(MANIFESTS / folder))))


def find(objects: list[dict], kind: str) -> dict:
    (found,) = [item for item in objects if item["kind"] == kind]
    return found


def api_server() -> ApiServer:
    """One that knows the kinds that are not ours, and none of ours."""
    made = ApiServer(with_mesh=False)
    for kind in route_kinds():
        made.kinds.add(kind)
    made.kinds.add(Kind("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"))
    made.kinds.add(Kind("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"))
    return made


@pytest.fixture
def server():
    with running(api_server()) as found:
        yield found


def test_kubectl_applies_everything_and_again_changes_nothing(server, tmp_path):
    config = kubeconfig(tmp_path / "kubeconfig", server.url)
    wanted = 0
    for folder in KUSTOMIZATIONS:
        objects = built(folder, tmp_path)
        wanted += len(objects)
        kubectl(config, *APPLY, "-k", str(MANIFESTS / folder))
        revision = server.call(lambda api: api.etcd.revision)
        again = kubectl(config, *APPLY, "-k", str(MANIFESTS / folder)).splitlines()
        assert len(again) == len(objects)
        # kubectl patches a budget's selector each time (patchStrategy=replace); for the server that is no change.
        assert [line for line in again if not line.endswith("unchanged") and "poddisruptionbudget" not in line] == []
        assert server.call(lambda api: api.etcd.revision) == revision
    held = server.call(lambda api: [data for kind in {k.store: k for k in api.kinds}.values()
                                    for data in api.etcd.all(kind.store)])  # fmt: skip
    assert len(held) == wanted


@pytest.mark.parametrize("page", ["README.md", "docs/operations.md"])
@pytest.mark.parametrize("applied", [["crds/istio", "."], ["crds/istio", ".", "gateway"]], ids="+".join)
def test_what_the_pages_say_of_uninstalling_leaves_nothing(server, tmp_path, page, applied):
    config = kubeconfig(tmp_path / "kubeconfig", server.url)
    for folder in applied:
        kubectl(config, *APPLY, "-k", str(MANIFESTS / folder))
    section = (MANIFESTS / page).read_text().partition("## Uninstall\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^    kubectl (delete [^#\n]+)", section, re.MULTILINE)
    assert len(commands) >= 3
    for command in commands:
        kubectl(config, *command.replace("manifests", str(MANIFESTS)).split())
    left = server.call(lambda api: [data["metadata"]["name"] for kind in {k.store: k for k in api.kinds}.values()
                                    for data in api.etcd.all(kind.store)])  # fmt: skip
    istios = {item["metadata"]["name"] for item in built("crds/istio", tmp_path)}
    assert set(left) == (istios if page != "README.md" else set())


def test_an_unknown_field_would_be_found(server, tmp_path):
    config = kubeconfig(tmp_path / "kubeconfig", server.url)
    bad = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labls": {}}, "data": {}}
    (tmp_path / "bad.json").write_text(json.dumps(bad))
    with pytest.raises(AssertionError, match="labls"):
        kubectl(config, *APPLY, "-f", str(tmp_path / "bad.json"))


@pytest.mark.parametrize("folder", KUSTOMIZATIONS)
def test_every_object_fits_into_the_annotation(folder, tmp_path):
    for item in built(folder, tmp_path):
        assert len(json.dumps(item, separators=(",", ":"))) < MAX_APPLIED, item["metadata"]["name"]


def test_the_agent_may_read_what_it_reads_and_nothing_else(tmp_path):
    roles = {item["metadata"]["name"]: item["rules"] for item in built("agent", tmp_path)
             if item["kind"] == "ClusterRole"}  # fmt: skip
    rules = roles.pop("nodemesh-agent")
    read = {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"]}
    assert read == {(resource.group, resource.plural) for resource in (*resources("node-a"), DEFINITIONS)}
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}
    named = {name for rule in rules for name in rule.get("resourceNames", ()) if rule["resources"] == ["configmaps"]}
    assert named == {item.field_selector.partition("=")[2] for item in resources("node-a") if item.kind == "ConfigMap"}
    routes = roles.pop("nodemesh-route-status")
    assert {verb for rule in routes for verb in rule["verbs"]} == {"get", "update"}
    assert all(name.endswith("/status") for rule in routes if "update" in rule["verbs"] for name in rule["resources"])
    (reviewed,) = roles.pop("nodemesh-peers")
    assert (reviewed["resources"], reviewed["verbs"]) == (["tokenreviews"], ["create"])
    (written,) = roles.pop("nodemesh-reporter")
    assert (written["resources"], written["verbs"], roles) == (["events"], ["create"], {})


def test_agents_find_each_other_and_know_each_other_by_tokens_for_that_alone(tmp_path):
    objects = built("agent", tmp_path)
    service, pods = find(objects, "Service"), find(objects, "DaemonSet")["spec"]["template"]
    assert service["metadata"]["name"] == SERVICE and service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"].items() <= pods["metadata"]["labels"].items()
    (container,) = pods["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    (port,) = service["spec"]["ports"]
    assert (
        port["port"] == ports[port["targetPort"]] == PEERS_PORT and f"--peers=0.0.0.0:{PEERS_PORT}" in container["args"]
    )
    (volume,) = [volume for volume in pods["spec"]["volumes"] if volume["name"] == "token"]
    (source,) = volume["projected"]["sources"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "token"]
    assert source["serviceAccountToken"]["audience"] == AUDIENCE
    assert f"{mount['mountPath']}/{source['serviceAccountToken']['path']}" == PEERS_TOKEN
    assert pods["spec"]["serviceAccountName"] == ACCOUNT
    rules = find(objects, "NetworkPolicy")["spec"]["ingress"]
    (rule,) = [rule for rule in rules if rule["ports"][0]["port"] == PEERS_PORT]
    assert rule["from"] == [{"podSelector": {"matchLabels": service["spec"]["selector"]}}]


def test_people_get_the_right_to_look_by_a_role_that_nobody_is_bound_to(tmp_path):
    objects = built("agent", tmp_path)
    (role,) = [item for item in objects if item["kind"] == "Role" and item["metadata"]["name"] == "nodemesh-viewer"]
    rights = {(name, verb) for rule in role["rules"] for name in rule["resources"] for verb in rule["verbs"]}
    assert rights == {("pods", "list"), ("pods/portforward", "get"), ("pods/portforward", "create")}
    bound = {item["roleRef"]["name"] for item in objects if item["kind"] == "RoleBinding"}
    assert bound == {"nodemesh-reporter"}


def test_a_gateway_may_read_what_the_agents_do_and_its_own_certificates(tmp_path):
    objects = built("gateway", tmp_path)
    assert find(objects, "ClusterRoleBinding")["roleRef"]["name"] == "nodemesh-agent"
    (rule,) = find(objects, "Role")["rules"]
    assert (rule["resources"], rule["verbs"]) == (["secrets", "configmaps"], ["list", "watch"])
    assert find(objects, "Role")["metadata"]["namespace"] == "nodemesh-system"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("agent", "DaemonSet"),
        ("gateway", "Deployment"),
        ("overlays/relay", "Deployment"),
        ("overlays/relay/agents", "DaemonSet"),
    ],
)
def test_the_command_lines_are_understood(folder, kind, tmp_path):
    (container,) = find(built(folder, tmp_path), kind)["spec"]["template"]["spec"]["containers"]
    command, *arguments = container["args"]
    found = cli.get_command(cli.make_context("nodemesh", [command]), command)
    found.make_context(command, arguments)
    assert not container["securityContext"].get("privileged")


def test_selectors_and_ports_belong_together(tmp_path):
    agent, gateway = built("agent", tmp_path), built("gateway", tmp_path)
    metrics = find(built("overlays/monitoring", tmp_path), "Service")
    service = find(gateway, "Service")
    for workload in (find(agent, "DaemonSet"), find(gateway, "Deployment")):
        template = workload["spec"]["template"]
        labels = template["metadata"]["labels"]
        (container,) = template["spec"]["containers"]
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert workload["spec"]["selector"]["matchLabels"].items() <= labels.items()
        assert metrics["spec"]["selector"].items() <= labels.items()
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert container[probe]["httpGet"]["port"] in ports
        assert f"--admin=0.0.0.0:{ports['admin']}" in container["args"]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in template["spec"]["volumes"]}
    assert service["spec"]["selector"].items() <= labels.items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports.keys()
    assert find(gateway, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == "nodemesh-gateway"


WATCH = ResourceStatus(name="Pod", phase=Phase.WATCHING, objects=1, events=1, starts=1, failures=0, error="")


def expressions(tmp_path) -> list[str]:
    """What the dashboard and the alerts ask Prometheus for."""
    made = built("overlays/monitoring", tmp_path)
    dashboard = json.loads(find(made, "ConfigMap")["data"]["nodemesh.json"])
    groups = find(made, "PrometheusRule")["spec"]["groups"]
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]] + [
        rule["expr"] for group in groups for rule in group["rules"]
    ]


def test_dashboard_and_alerts_ask_for_metrics_that_there_are(tmp_path):
    full = msgspec.structs.replace(FULL, refused=[ObjectKey("Gateway", "a", "b")], watches=[WATCH])
    page = MetricsPage(http=(), tcp=(), own=lambda left_out: (*families(full), *page_families(("x",), 1.0)))
    exposed = set(re.findall(r"^(nodemesh_\w+)", b"".join(render(page)).decode(), re.MULTILINE))
    asked = {name for text in expressions(tmp_path) for name in re.findall(r"nodemesh_\w+", text)}
    assert len(asked) > 12 and asked <= exposed, asked - exposed


def test_what_both_reporters_tell_is_counted_once(tmp_path):
    asked = [text for text in expressions(tmp_path) if "istio_" in text]
    assert len(asked) > 5
    for text in asked:
        assert text.count("istio_") == text.count('reporter="source"'), text


def test_the_whole_has_every_part(tmp_path):
    whole = built(".", tmp_path)
    assert [item for item in built("agent", tmp_path) if item not in whole] == []
    crds = {item["metadata"]["name"] for item in whole if item["kind"] == "CustomResourceDefinition"}
    assert crds == {"meshconfigs.nodemesh.io"}, (
        "Istio's are apart: deleting nodemesh is not to delete everybody's rules"
    )
    apart = built("crds/istio", tmp_path)
    assert {item["kind"] for item in apart} == {"CustomResourceDefinition"}
    assert len(apart) == len(list((MANIFESTS / "crds" / "istio").iterdir())) - 1  # the kustomization


def environment(item: dict) -> list[dict]:
    """What a workload's containers take from their own objects."""
    containers = item["spec"]["template"]["spec"]["containers"]
    return [entry for container in containers for entry in container.get("env", ()) if "valueFrom" in entry]


def test_fields_of_the_environment_are_written_as_the_server_completes_them(server, tmp_path):
    """What the server fills in counts as another's field for a server-side apply after a client-side one."""
    config = kubeconfig(tmp_path / "kubeconfig", server.url)
    compared = 0
    for folder in KUSTOMIZATIONS:
        kubectl(config, *APPLY, "-k", str(MANIFESTS / folder))
        for item in built(folder, tmp_path):
            if item["kind"] in ("DaemonSet", "Deployment"):
                stored = server.call(lambda api, item=item: api.etcd.get(f"{item['kind'].lower()}s.apps", key_of(item)))
                assert environment(stored) == environment(item)
                compared += len(environment(item))
    assert compared > 3
    left_out = {"env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]}
    assert completed(left_out)["env"][0]["valueFrom"]["fieldRef"] == {"apiVersion": "v1", "fieldPath": "spec.nodeName"}


def test_a_relay_reads_what_agents_do_and_reviews_tokens(tmp_path):
    objects = built("overlays/relay", tmp_path)
    bound = {item["roleRef"]["name"] for item in objects if item["kind"] == "ClusterRoleBinding"}
    assert bound == {"nodemesh-agent", "nodemesh-relay"}
    assert find(objects, "ClusterRole")["rules"] == [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    ]


def test_agents_are_shown_the_relays_authority_and_not_its_key(tmp_path):
    pods = find(built("overlays/relay/agents", tmp_path), "DaemonSet")["spec"]["template"]["spec"]
    (volume,) = [volume for volume in pods["volumes"] if volume["name"] == "relay-ca"]
    assert volume["secret"]["items"] == [{"key": "ca.crt", "path": "ca.crt"}]
    service = find(built("overlays/relay", tmp_path), "Service")
    (asked,) = [arg for arg in pods["containers"][0]["args"] if arg.startswith("--relay=")]
    named = (
        f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc:{service['spec']['ports'][0]['port']}"
    )
    assert asked == f"--relay=https://{named}"
