"""A Gateway of our class gets a workload of its own, by server-side apply, within the manifests' rights."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import yaml
from tests.apiserver.server import ApiServer
from tests.clusters import service
from tests.kubernetes.test_election import Agent
from tests.kubernetes.test_manifests import MANIFESTS
from tests.kubernetes.test_route_statuses import CLASS, EDGE, found, made, route

from nodemesh.node.managed import wanted_objects
from nodemesh.node.managed_gateways import ManagedGateways
from nodemesh.routing.gatewayapi.names import label_value, object_name

IMAGE = "registry.example/nodemesh:1"
LABEL = "gateway.networking.k8s.io/gateway-name"


class Deployer(ManagedGateways):
    def __init__(self, follower, name: str = "node-a") -> None:
        self.agent = Agent(follower, name)

        super().__init__(
            follower.api,
            lambda: wanted_objects(follower.tables, follower.snapshot, IMAGE),
            self.agent.election,
            lambda: 0.0,
            pace=0.0,
        )


def guarded(*objects: dict[str, Any]) -> ApiServer:
    api = ApiServer()
    for path in ("agent/rbac.yaml", "overlays/gateways/rbac.yaml"):
        api.apply(*yaml.safe_load_all((MANIFESTS / path).read_text()))
    api.accounts[""] = "nodemesh-system/nodemesh-agent"
    api.apply(CLASS, service("cart"), *objects)
    return api


def of(follower, kind: str, name: str) -> dict[str, Any]:
    return next(one for one in follower.server.objects(kind) if one["metadata"]["name"] == name)


def patches(follower) -> int:
    return sum(row.method == "PATCH" for row in follower.server.asked)


async def known(follower) -> None:
    await follower.until(lambda: follower.snapshot.kubernetes_gateways)


def with_spec(**more: Any) -> dict[str, Any]:
    return {**EDGE, "spec": {**EDGE["spec"], **more}}


def test_a_gateway_gets_its_objects_with_the_infrastructure_s_labels(play):
    async def story(follower):
        await known(follower)
        assert await Deployer(follower).write()
        deployment, offered = of(follower, "Deployment", "edge-nodemesh"), of(follower, "Service", "edge-nodemesh")
        for item in (deployment, offered, of(follower, "ServiceAccount", "edge-nodemesh")):
            meta = item["metadata"]
            assert (
                meta["labels"][LABEL] == "edge" and meta["labels"]["team"] == "a" and meta["annotations"] == {"b": "c"}
            )
            (owner,) = meta["ownerReferences"]
            assert (owner["kind"], owner["name"], owner["uid"]) == (
                "Gateway", "edge", found(follower, "Gateway", "edge")["metadata"]["uid"],
            )  # fmt: skip
        assert [port["port"] for port in offered["spec"]["ports"]] == [80, 443]
        assert offered["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"] == {LABEL: "edge"}
        pod = deployment["spec"]["template"]
        assert pod["metadata"]["labels"][LABEL] == "edge"
        (container,) = pod["spec"]["containers"]
        assert container["image"] == IMAGE and f"--gateway={LABEL}=edge" in container["args"]
        (rule,) = of(follower, "Role", "edge-nodemesh")["rules"]
        assert (rule["resources"], rule["resourceNames"]) == (["secrets"], ["pair"])
        (subject,) = of(follower, "ClusterRoleBinding", "nodemesh-managed-gateways")["subjects"]
        assert subject["name"] == "edge-nodemesh"

    tls = {"certificateRefs": [{"name": "pair"}]}
    listeners = [*EDGE["spec"]["listeners"], {"name": "tls", "port": 443, "protocol": "HTTPS", "tls": tls}]
    play(
        story,
        guarded(with_spec(listeners=listeners, infrastructure={"labels": {"team": "a"}, "annotations": {"b": "c"}})),
    )


def test_its_service_declares_what_the_listeners_speak(play):
    async def story(follower):
        await known(follower)
        assert await Deployer(follower).write()
        ports = of(follower, "Service", "edge-nodemesh")["spec"]["ports"]
        assert [port["name"] for port in ports] == ["http-80", "tls-443", "tcp-9000", "udp-9000"]
        assert [port["protocol"] for port in ports] == ["TCP", "TCP", "TCP", "UDP"]
        policy = of(follower, "NetworkPolicy", "edge-nodemesh")["spec"]["ingress"][0]["ports"]
        assert [(port["port"], port["protocol"]) for port in policy][2:] == [(9000, "TCP"), (9000, "UDP")]

    tls = {"mode": "Passthrough"}
    pair = {"certificateRefs": [{"name": "pair"}]}
    listeners = [
        *EDGE["spec"]["listeners"],
        {"name": "a", "port": 443, "protocol": "HTTPS", "hostname": "a.example", "tls": pair},
        {"name": "b", "port": 443, "protocol": "TLS", "hostname": "b.example", "tls": tls},
        {"name": "c", "port": 9000, "protocol": "TCP"},
        {"name": "d", "port": 9000, "protocol": "UDP"},
    ]
    play(story, guarded(with_spec(listeners=listeners)))


POLICY = made(
    "BackendTLSPolicy",
    "cart",
    {
        "targetRefs": [{"group": "", "kind": "Service", "name": "cart"}],
        "validation": {
            "hostname": "cart",
            "caCertificateRefs": [{"group": "", "kind": "ConfigMap", "name": "trusted"}],
        },
    },
)


def rules_of(follower, namespace: str = "default") -> dict[str, list[str]]:
    roles = [one for one in follower.server.objects("Role") if one["metadata"]["namespace"] == namespace]
    return {rule["resources"][0]: rule["resourceNames"] for role in roles for rule in role["rules"]}


def test_it_may_read_what_its_backends_trust_and_what_it_shows_them(play):
    async def story(follower):
        await known(follower)
        await follower.until(lambda: follower.snapshot.http_routes and follower.snapshot.backend_tls_policies)
        assert await Deployer(follower).write()
        assert rules_of(follower) == {"secrets": ["own"], "configmaps": ["trusted"]}

    edge = with_spec(tls={"backend": {"clientCertificateRef": {"name": "own"}}})
    play(story, guarded(edge, route("r"), POLICY))


def test_of_another_namespace_it_may_read_what_is_granted_as_long_as_it_is(play):
    grant = made(
        "ReferenceGrant",
        "g",
        {
            "from": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "namespace": "default"}],
            "to": [{"group": "", "kind": "Secret"}],
        },
    )
    grant["metadata"]["namespace"] = "vault"
    idle = deepcopy(POLICY)  # has nothing to do with it, and is not to keep the Role
    idle["metadata"]["namespace"] = "vault"
    named = {"certificateRefs": [{"name": "pair", "namespace": "vault"}, {"name": "other", "namespace": "closed"}]}

    async def story(follower):
        await known(follower)
        await follower.until(lambda: follower.snapshot.reference_grants and follower.snapshot.backend_tls_policies)
        deployer = Deployer(follower)
        assert await deployer.write()
        assert rules_of(follower, "vault") == {"secrets": ["pair"]} and not rules_of(follower, "closed")
        role, binding = (
            next(one for one in follower.server.objects(kind) if one["metadata"]["namespace"] == "vault")
            for kind in ("Role", "RoleBinding")
        )
        assert [owner["kind"] for owner in role["metadata"]["ownerReferences"]] == ["ReferenceGrant"]
        account = {"kind": "ServiceAccount", "name": "edge-nodemesh", "namespace": "default"}
        assert binding["subjects"] == [account] and binding["roleRef"]["name"] == role["metadata"]["name"]
        follower.server.delete("ReferenceGrant", "g", "vault")
        await follower.until(lambda: not follower.snapshot.reference_grants)
        assert await deployer.write() and not rules_of(follower, "vault")
        before = patches(follower)
        assert await deployer.write() and patches(follower) == before

    listeners = [*EDGE["spec"]["listeners"], {"name": "tls", "port": 443, "protocol": "HTTPS", "tls": named}]
    play(story, guarded(with_spec(listeners=listeners), grant, idle))


def test_what_a_listener_set_of_another_namespace_names_goes_with_it(play):
    own = {"name": "more", "port": 8443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "pair"}]}}
    more = made("ListenerSet", "more", {"parentRef": {"name": "edge", "namespace": "default"}, "listeners": [own]})
    more["metadata"]["namespace"] = "vault"

    async def story(follower):
        await known(follower)
        await follower.until(lambda: follower.snapshot.listener_sets)
        assert await Deployer(follower).write()
        assert rules_of(follower, "vault") == {"secrets": ["pair"]}
        (role,) = (one for one in follower.server.objects("Role") if one["metadata"]["namespace"] == "vault")
        assert [owner["kind"] for owner in role["metadata"]["ownerReferences"]] == ["ListenerSet"]

    play(story, guarded(with_spec(allowedListeners={"namespaces": {"from": "All"}}), more))


def test_the_workload_is_as_guarded_as_the_one_of_the_manifests(play):
    async def story(follower):
        await known(follower)
        assert await Deployer(follower).write()
        spec = of(follower, "Deployment", "edge-nodemesh")["spec"]["template"]["spec"]
        by_hand = yaml.safe_load((MANIFESTS / "gateway/deployment.yaml").read_text())["spec"]["template"]["spec"]
        ours, theirs = spec["containers"][0], by_hand["containers"][0]
        assert ours["securityContext"] == theirs["securityContext"]
        assert {key: spec["securityContext"][key] for key in by_hand["securityContext"]} == by_hand["securityContext"]
        assert ours["volumeMounts"] == theirs["volumeMounts"] and spec["volumes"] == by_hand["volumes"]
        assert set(theirs) - set(ours) == set()

    play(story, guarded(EDGE))


def test_its_admin_api_is_guarded_as_the_one_of_the_manifests(play):
    async def story(follower):
        await known(follower)
        assert await Deployer(follower).write()
        spec = of(follower, "NetworkPolicy", "edge-nodemesh")["spec"]
        by_hand = yaml.safe_load((MANIFESTS / "gateway/networkpolicy.yaml").read_text())["spec"]
        assert spec["podSelector"] == {"matchLabels": {LABEL: "edge"}}
        assert spec["policyTypes"] == by_hand["policyTypes"] and spec["ingress"][1] == by_hand["ingress"][1]
        assert spec["ingress"][0] == {"ports": [{"port": 80, "protocol": "TCP"}]}
        offered = of(follower, "Service", "edge-nodemesh")["spec"]["ports"]
        assert [port["targetPort"] for port in offered] == [80], "whatever the tenant's listeners name"

    admin = {"name": "admin", "port": 15000, "protocol": "HTTP"}
    play(story, guarded(with_spec(listeners=[*EDGE["spec"]["listeners"], admin])))


def test_only_what_has_changed_is_applied_again_and_by_one_agent(play):
    async def story(follower):
        await known(follower)
        deployer = Deployer(follower)
        assert await deployer.write()
        before = patches(follower)
        assert await deployer.write() and patches(follower) == before == 7
        assert not await Deployer(follower, "node-b").write() and patches(follower) == before
        listeners = [{"name": "web", "port": 8080, "protocol": "HTTP"}]
        follower.server.apply(with_spec(listeners=listeners))
        key = "default/edge"
        await follower.until(lambda: follower.snapshot.kubernetes_gateways[key].spec.listeners[0].port == 8080)
        assert await deployer.write() and patches(follower) == before + 2  # Service and NetworkPolicy
        assert [port["port"] for port in of(follower, "Service", "edge-nodemesh")["spec"]["ports"]] == [8080]

    play(story, guarded(EDGE))


def test_a_gateway_with_a_service_of_its_own_is_not_deployed(play):
    async def story(follower):
        await known(follower)
        assert await Deployer(follower).write() and not patches(follower)

    play(story, guarded(with_spec(addresses=[{"type": "Hostname", "value": "edge.default.svc.cluster.local"}])))


def test_one_that_is_refused_or_another_s_is_not_deployed(play):
    async def story(follower):
        await known(follower)
        assert await Deployer(follower).write() and not patches(follower)

    bad = with_spec(listeners=[{"name": "web", "port": 80, "protocol": "a.example/other"}])
    other = made("Gateway", "theirs", {**EDGE["spec"], "gatewayClassName": "theirs"})
    play(story, guarded(bad, other))


@pytest.mark.parametrize("status", [403, 422], ids=["its namespace's quota", "its labels"])
def test_what_is_refused_of_one_gateway_keeps_no_other_from_its_own(play, status):
    async def story(follower):
        await follower.until(lambda: len(follower.snapshot.kubernetes_gateways) == 2)
        follower.server.faults.refuse("deployments/another-nodemesh", status, times=100)
        deployer = Deployer(follower)
        assert await deployer.write()
        assert of(follower, "Deployment", "edge-nodemesh") and of(follower, "Service", "another-nodemesh")
        subjects = of(follower, "ClusterRoleBinding", "nodemesh-managed-gateways")["subjects"]
        assert {subject["name"] for subject in subjects} == {"another-nodemesh", "edge-nodemesh"}
        before = patches(follower)
        assert await deployer.write() and patches(follower) == before, "it is not said again at once"

    play(story, guarded(made("Gateway", "another", EDGE["spec"]), EDGE))


def test_a_binding_whose_role_the_server_does_not_know_yet_is_applied_with_the_next_look(play):
    async def story(follower):
        await known(follower)
        follower.server.faults.refuse("rolebindings/edge-nodemesh", 404, times=1)
        deployer = Deployer(follower)
        assert await deployer.write()
        assert "edge-nodemesh" not in [one["metadata"]["name"] for one in follower.server.objects("RoleBinding")]
        assert await deployer.write() and of(follower, "RoleBinding", "edge-nodemesh")

    play(story, guarded(EDGE))


def test_a_service_has_a_port_or_is_none(play):
    """15000 is the admin API's, and offered to nobody."""

    async def story(follower):
        await known(follower)
        assert await Deployer(follower).write()
        assert of(follower, "Deployment", "edge-nodemesh")
        assert [one["metadata"]["name"] for one in follower.server.objects("Service")] == ["cart"]

    play(story, guarded(with_spec(listeners=[{"name": "web", "port": 15000, "protocol": "HTTP"}])))


def test_names_have_bounds():
    long = "a" * 200
    assert len(label_value(long)) == 63 == len(object_name(long, "nodemesh"))
    assert label_value("edge") == "edge" and object_name("a.b", "c") == "a-b-c"
    assert label_value(long) != label_value(long + "b")
