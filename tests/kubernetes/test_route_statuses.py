"""What becomes of the Gateway API's objects is written into their status, by one agent, within its rights."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import yaml
from tests.apiserver.server import ApiServer
from tests.clusters import service
from tests.kubernetes.test_election import Agent
from tests.kubernetes.test_manifests import MANIFESTS

from nodemesh.config.load import load_text
from nodemesh.node.route_facts import ClusterFacts, StatusJudge, gateway_addresses
from nodemesh.node.routestatus import joined, wanted_statuses
from nodemesh.node.routestatuses import RouteStatuses
from nodemesh.registry.assemble import ObjectKey
from nodemesh.registry.store import Store
from nodemesh.routing.gatewayapi.attach import attach
from nodemesh.routing.gatewayapi.names import label_value

API = "gateway.networking.k8s.io/v1"


def made(kind: str, name: str, spec: dict[str, Any], **status: Any) -> dict[str, Any]:
    meta = {"name": name} if kind == "GatewayClass" else {"name": name, "namespace": "default"}
    return {"apiVersion": API, "kind": kind, "metadata": meta, "spec": spec, **({"status": status} if status else {})}


CLASS = made("GatewayClass", "nodemesh", {"controllerName": "nodemesh.io/gateway-controller"})
EDGE = made(
    "Gateway",
    "edge",
    {"gatewayClassName": "nodemesh", "listeners": [{"name": "web", "port": 80, "protocol": "HTTP"}]},
)


def route(name: str, backend: str = "cart", parent: str = "edge", **status: Any) -> dict[str, Any]:
    rules = [{"backendRefs": [{"name": backend, "port": 80}]}]
    return made("HTTPRoute", name, {"parentRefs": [{"name": parent}], "rules": rules}, **status)


class Writer(RouteStatuses):
    def __init__(self, follower, name: str = "node-a") -> None:
        self.agent = Agent(follower, name)
        judge = StatusJudge()
        super().__init__(
            follower.api,
            lambda: judge.wanted(follower.snapshot, None, {}, lambda _: "", follower.source.path_of),
            self.agent.election,
            lambda: 0.0,
            pace=0.0,
        )


def guarded(*objects: dict[str, Any]) -> ApiServer:
    """A server that lets its clients do what the manifests allow."""
    api = ApiServer()
    api.apply(*yaml.safe_load_all((MANIFESTS / "agent/rbac.yaml").read_text()))
    api.accounts[""] = "nodemesh-system/nodemesh-agent"
    api.apply(CLASS, EDGE, service("cart"), *objects)
    return api


def found(follower, kind: str, name: str) -> dict[str, Any]:
    group = "gateway.networking.k8s.io"
    (item,) = [one for one in follower.server.objects(kind, group) if one["metadata"]["name"] == name]
    return item


def conditions(holder: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {entry["type"]: (entry["status"], entry["reason"]) for entry in holder["conditions"]}


def writes(follower) -> int:
    asked = follower.server.requests
    return sum(times for (method, path), times in asked.items() if method == "PUT" and path.endswith("/status"))


async def known(follower, routes: int = 1) -> None:
    key = ObjectKey("HTTPRoute", "default", "r", "gateway.networking.k8s.io")
    await follower.until(lambda: len(follower.snapshot.http_routes) == routes and follower.source.path_of(key))


def test_every_object_of_ours_has_its_conditions(play):
    async def story(follower):
        await known(follower)
        assert await Writer(follower).write()
        status = found(follower, "GatewayClass", "nodemesh")["status"]
        assert conditions(status)["Accepted"] == ("True", "Accepted")
        names = [entry["name"] for entry in status["supportedFeatures"]]
        assert names == sorted(names) and "HTTPRoute" in names
        edge = found(follower, "Gateway", "edge")
        assert conditions(edge["status"])["Programmed"] == ("False", "AddressNotAssigned")
        (listener,) = edge["status"]["listeners"]
        assert listener["attachedRoutes"] == 1 and conditions(listener)["Programmed"] == ("True", "Programmed")
        (parent,) = found(follower, "HTTPRoute", "r")["status"]["parents"]
        assert parent["controllerName"] == "nodemesh.io/gateway-controller"
        assert parent["parentRef"] == {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "edge"}
        assert conditions(parent) == {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
        for entry in (*edge["status"]["conditions"], *parent["conditions"]):
            assert entry["observedGeneration"] == 1 and entry["lastTransitionTime"]

    play(story, guarded(route("r")))


def test_a_traffic_policy_is_told_what_it_is_to_its_service_and_its_gateways(play):
    def policy(name: str, created: str) -> dict[str, Any]:
        spec = {"targetRefs": [{"group": "", "kind": "Service", "name": "cart"}], "retryConstraint": {}}
        meta = {"name": name, "namespace": "default", "creationTimestamp": created}
        api = "gateway.networking.x-k8s.io/v1alpha1"
        return {"apiVersion": api, "kind": "XBackendTrafficPolicy", "metadata": meta, "spec": spec}

    async def story(follower):
        await known(follower)
        await follower.until(lambda: len(follower.snapshot.backend_traffic_policies) == 2)
        assert await Writer(follower).write()
        items = follower.server.objects("XBackendTrafficPolicy", "gateway.networking.x-k8s.io")
        said = {
            (item["metadata"]["name"], one["ancestorRef"]["kind"], one["ancestorRef"]["name"]): conditions(one)[
                "Accepted"
            ]
            for item in items
            for one in item["status"]["ancestors"]
        }
        good, bad = ("True", "Accepted"), ("False", "Conflicted")
        assert said == {
            ("old", "Service", "cart"): good,
            ("old", "Gateway", "edge"): good,
            ("young", "Service", "cart"): bad,
            ("young", "Gateway", "edge"): bad,
        }

    play(story, guarded(route("r"), policy("young", "2026-02-01T00:00:00Z"), policy("old", "2026-01-01T00:00:00Z")))


def test_a_status_that_is_refused_keeps_no_other_from_its_own(play):
    async def story(follower):
        await known(follower, routes=2)
        follower.server.faults.refuse("httproutes/r/status", 422, times=100)
        writer = Writer(follower)
        assert await writer.write()
        assert found(follower, "HTTPRoute", "second")["status"]["parents"]
        assert "status" not in found(follower, "HTTPRoute", "r")
        before = writes(follower)
        assert await writer.write() and writes(follower) == before, "it is not said again at once"

    play(story, guarded(route("r"), route("second")))


def test_nothing_is_written_twice(play):
    async def story(follower):
        await known(follower)
        writer = Writer(follower)
        assert await writer.write()
        before = writes(follower)
        assert await writer.write() and await Writer(follower, "node-a").write()
        assert writes(follower) == before == 3

    play(story, guarded(route("r")))


def test_a_change_costs_one_write_and_keeps_the_time_at_which_a_condition_turned(play):
    async def story(follower):
        await known(follower)
        writer = Writer(follower)
        assert await writer.write()
        first = found(follower, "HTTPRoute", "r")
        before = writes(follower)
        follower.server.apply({**route("r", backend="none"), "status": first["status"]})
        key = "default/r"
        await follower.until(lambda: follower.snapshot.http_routes[key].spec.rules[0].backend_refs[0].name == "none")
        writer.agent.clock += 100
        assert await writer.write() and writes(follower) == before + 1
        (parent,) = found(follower, "HTTPRoute", "r")["status"]["parents"]
        assert conditions(parent)["ResolvedRefs"] == ("False", "BackendNotFound")
        old = first["status"]["parents"][0]["conditions"]
        times = {entry["type"]: entry["lastTransitionTime"] for entry in old}
        assert {entry["observedGeneration"] for entry in parent["conditions"]} == {2}
        assert parent["conditions"][0]["lastTransitionTime"] == times["Accepted"]

    play(story, guarded(route("r")))


OTHERS = {
    "parentRef": {"name": "theirs"},
    "controllerName": "a.example/b",
    "conditions": [
        {
            "type": "Accepted",
            "status": "True",
            "reason": "Accepted",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
    ],
}


def test_entries_of_other_controllers_stay_and_their_routes_are_left_alone(play):
    async def story(follower):
        await known(follower, 2)
        for name in ("r", "s"):
            path = f"/apis/{API}/namespaces/default/httproutes/{name}/status"
            body = {**found(follower, "HTTPRoute", name), "status": {"parents": [OTHERS]}}
            await follower.api.send("PUT", path, msgspec.Raw(msgspec.json.encode(body)))
        follower.server.asked.clear()
        assert await Writer(follower).write()
        first, second = found(follower, "HTTPRoute", "r")["status"]["parents"]
        assert first == OTHERS and second["controllerName"] == "nodemesh.io/gateway-controller"
        assert found(follower, "HTTPRoute", "s")["status"] == {"parents": [OTHERS]}
        assert not any("httproutes/s" in row.path for row in follower.server.asked)

    play(story, guarded(route("r"), route("s", parent="theirs")))


def test_one_agent_of_all_writes(play):
    async def story(follower):
        await known(follower)
        assert await Writer(follower, "node-a").write()
        before = writes(follower)
        assert not await Writer(follower, "node-b").write() and writes(follower) == before

    play(story, guarded(route("r")))


def test_an_address_of_its_service_programs_the_gateway(play):
    async def story(follower):
        await known(follower)
        writer = Writer(follower)
        gateway_service = service("edge-nodemesh")
        gateway_service["metadata"]["labels"] = {"gateway.networking.k8s.io/gateway-name": "edge"}
        gateway_service["status"] = {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}
        follower.server.apply(gateway_service)
        await follower.until(lambda: "edge-nodemesh.default.svc.cluster.local" in follower.snapshot.services)
        assert await writer.write()
        status = found(follower, "Gateway", "edge")["status"]
        assert conditions(status)["Programmed"] == ("True", "Programmed")
        assert status["addresses"] == [{"type": "IPAddress", "value": "192.0.2.7"}]

    play(story, guarded(route("r")))


def test_many_new_routes_cost_one_write_each_and_one_for_their_gateway(play):
    async def story(follower):
        await known(follower)
        writer = Writer(follower)
        assert await writer.write()
        before = writes(follower)
        follower.server.apply(*(route(f"r{number}") for number in range(200)))
        await known(follower, 201)
        assert await writer.write()
        assert writes(follower) == before + 201
        (listener,) = found(follower, "Gateway", "edge")["status"]["listeners"]
        assert listener["attachedRoutes"] == 201

    play(story, guarded(route("r")))


def test_churn_costs_no_more_than_one_write_per_change(play):
    """500 changes of 500 routes in five rounds, some of which change a route twice before anybody looks."""
    count, rounds = 500, 5

    async def story(follower):
        await known(follower, count)
        writer = Writer(follower)
        assert await writer.write()
        before = writes(follower)
        for number in range(rounds):
            backend = "none" if number % 2 == 0 else "stock"
            of_round = [f"r{one}" for one in range(number, count, rounds)]
            for name in of_round[:20]:
                follower.server.apply(route(name, backend="elsewhere"))
            follower.server.apply(*(route(name, backend=backend) for name in of_round))
            last = f"default/{of_round[-1]}"
            await follower.until(
                lambda key=last, backend=backend: (
                    follower.snapshot.http_routes[key].spec.rules[0].backend_refs[0].name == backend
                )
            )
            assert await writer.write()
        assert writes(follower) == before + count
        for one in range(count):
            entry = found(follower, "HTTPRoute", f"r{one}")
            (parent,) = entry["status"]["parents"]
            broken = one % rounds % 2 == 0
            assert conditions(parent)["ResolvedRefs"][0] == ("False" if broken else "True")
            assert {each["observedGeneration"] for each in parent["conditions"]} == {entry["metadata"]["generation"]}

    play(story, guarded(service("stock"), *(route(f"r{number}") for number in range(count))))


def crowd(field: str, ref: str, count: int) -> dict[str, Any]:
    """A status with that many entries of other controllers."""
    entry = {"controllerName": "other.example/c", "conditions": []}
    return {field: [{**entry, ref: {"name": f"o{number}"}} for number in range(count)]}


def test_a_status_stays_within_the_bounds_of_its_kind():
    """One that is longer would be refused whole, by the CRD's maxItems."""
    refs = [{"name": "edge", "sectionName": f"s{number}"} for number in range(32)]
    full = made("HTTPRoute", "full", {"parentRefs": refs})
    listeners = [{"name": f"s{number}", "port": 80 + number, "protocol": "HTTP"} for number in range(32)]
    edge = {**EDGE, "spec": {**EDGE["spec"], "listeners": listeners}}
    wanted = {item.key.name: item for item in judged(edge, full)}
    now = datetime(2026, 1, 1, tzinfo=UTC)
    alone = joined({}, wanted["full"], now) or {}
    beside = joined(crowd("parents", "parentRef", 20), wanted["full"], now) or {}
    assert (len(alone["parents"]), len(beside["parents"])) == (32, 32)
    assert sum(entry["controllerName"] == "other.example/c" for entry in beside["parents"]) == 20
    others = {"conditions": [{"type": f"other.example/{number}", "status": "True"} for number in range(7)]}
    assert len((joined(others, wanted["edge"], now) or {})["conditions"]) == 8


def judged(*objects: dict[str, Any], addresses: Any = None):
    text = yaml.safe_dump_all([CLASS, service("cart"), *objects])
    snapshot = Store().apply("files", load_text(text, "mesh.yaml").objects)
    facts = ClusterFacts({}, lambda _: "", addresses)
    return list(wanted_statuses(snapshot, attach(snapshot, facts), addresses or {}, lambda key: f"/{key.name}"))


@pytest.mark.parametrize(
    ("had", "programmed"),
    [
        ((), ("False", "AddressNotAssigned")),
        ((("IPAddress", "192.0.2.2"),), ("False", "AddressNotUsable")),
        ((("IPAddress", "192.0.2.1"), ("IPAddress", "192.0.2.2")), ("True", "Programmed")),
    ],
)
def test_a_gateway_is_programmed_once_it_has_the_addresses_that_it_asks_for(had, programmed):
    wish = [{"type": "IPAddress", "value": "192.0.2.1"}, {"type": "IPAddress"}]
    edge = {**EDGE, "spec": {**EDGE["spec"], "addresses": wish}}
    (status,) = [item.status for item in judged(edge, addresses={"default/edge": had}) if item.key.name == "edge"]
    assert conditions(status)["Programmed"] == programmed


def test_a_long_name_s_service_is_found_by_its_label():
    name = "a-gateway-" * 20 + "z"
    long = {**EDGE, "metadata": {**EDGE["metadata"], "name": name}}
    offered = service("offered")
    offered["metadata"]["labels"] = {"gateway.networking.k8s.io/gateway-name": label_value(name)}
    text = yaml.safe_dump_all([long, offered])
    snapshot = Store().apply("files", load_text(text, "mesh.yaml").objects)
    assert list(gateway_addresses(snapshot)) == [f"default/{name}"]
