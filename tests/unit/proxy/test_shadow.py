"""A candidate beside the live rules: it is asked about each request, is counted where it differs, and never acts."""

import gc

import msgspec
import pytest

from nodemesh.config.load import load_text
from nodemesh.proxy import shadow as module
from nodemesh.proxy.shadow import MOST, CandidateTap, Tally
from nodemesh.registry.overlay import overlay
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_beside, compile_tables
from nodemesh.routing.decision import Redirect
from nodemesh.routing.diff import sides
from nodemesh.routing.diff.compare import compare
from nodemesh.routing.heads import REDACTED
from nodemesh.sim import Mesh
from nodemesh.telemetry.disagreement import SAMPLES, ShadowCounts, merged

MESH = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec: {clusterIP: 10.96.0.10, selector: {app: reviews}, ports: [{name: http, port: 9080, targetPort: 8080}]}
---
apiVersion: v1
kind: Service
metadata: {name: ratings, namespace: default, annotations: {nodemesh.io/l7: always}}
spec: {clusterIP: 10.96.0.11, selector: {app: ratings}, ports: [{name: http, port: 9080, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec: {host: reviews, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
"""

RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
  RULES
---
"""

V1 = "- route: [{destination: {host: reviews, subset: v1}}]"
V2 = "- route: [{destination: {host: reviews, subset: v2}}]"
JASON = "- match: [{headers: {end-user: {exact: jason}}}]\n    route: [{destination: {host: reviews, subset: v2}}]\n  "
SPLIT = "- route: [{destination: {host: reviews, subset: v1}, weight: 50}, {destination: {host: reviews, subset: v2}, weight: 50}]"  # noqa: E501

GATEWAY = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {app: edge}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: default}
spec:
  hosts: [shop.example]
  gateways: [edge]
  http:
  - route: [{destination: {host: TARGET}}]
---
"""


def rules(http):
    return RULES.replace("RULES", http)


def send(mesh, times=1, host="reviews", **options):
    answers = mesh.send_many(times, f"GET http://{host}:9080/", **options)
    assert all(answer.ok for answer in answers), answers
    return answers


def test_what_differs_is_counted_by_rule_and_the_live_rules_act():
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(JASON + V1))
    assert send(mesh, 10).to == {"v1": 10}
    assert send(mesh, 3, headers={"end-user": "jason"}).to == {"v1": 3}
    counts = shadow.counts()
    assert (counts.requests, counts.differing, counts.failed, counts.folded) == (13, 3, 0, 0)
    (found,) = counts.disagreements
    assert (found.count, found.contrast.place) == (3, "reviews.default.svc.cluster.local:9080")
    assert found.contrast.aspects == ["to"]
    assert found.contrast.old.told == {"to": "reviews v1"}
    assert found.contrast.new.told == {"to": "reviews v2"}
    assert "VirtualService default/reviews spec.http[0]" in found.contrast.new.rule


def test_what_chance_decides_is_no_disagreement_but_other_weights_are():
    mesh = Mesh(MESH + rules(SPLIT))
    same = mesh.shadow(rules(SPLIT + "\n    name: renamed"))
    send(mesh, 40)
    assert (same.counts().requests, same.counts().differing) == (40, 0)
    other = mesh.shadow(
        rules(SPLIT.replace("weight: 50}, {", "weight: 40}, {").replace("weight: 50}]", "weight: 60}]"))
    )
    send(mesh, 40)
    assert other.counts().differing == 40


@pytest.mark.parametrize(
    ("change", "aspect"),
    [
        ("\n    timeout: 3s", "timeout"),
        ("\n    retries: {attempts: 5}", "retries"),
        ("\n    fault: {abort: {httpStatus: 418, percentage: {value: 1}}}", "fault"),
        ("\n    rewrite: {uri: /other}", "rewrite"),
        ("\n    headers: {request: {set: {x-a: b}}}", "request headers"),
        ("\n    mirror: {host: ratings}", "mirror"),
        ("\n    corsPolicy: {allowOrigins: [{exact: 'https://a.example'}]}", "CORS"),
    ],
)
def test_each_aspect_of_an_answer_counts_as_in_diff(change, aspect):
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(V1 + change))
    send(mesh)
    (found,) = shadow.counts().disagreements
    assert found.contrast.aspects == [aspect]
    (changed,) = compare(tables(MESH + rules(V1)), tables(MESH + rules(V1 + change))).changes
    assert changed.aspects == found.contrast.aspects
    assert {name: changed.new.told[name] for name in changed.aspects} == found.contrast.new.told


def tables(text):
    return compile_tables(Store().apply("files", load_text(text, "mesh.yaml").objects))


def test_what_the_candidate_leaves_alone_is_not_decided_twice():
    mesh = Mesh(MESH + rules(V1))
    ratings = rules("- route: [{destination: {host: ratings}}]").replace("name: reviews", "name: ratings")
    mesh.configure(MESH + rules(V1) + ratings.replace("hosts: [reviews]", "hosts: [ratings]"))
    shadow = mesh.shadow(rules(V2))
    send(mesh, 5, host="ratings")
    assert shadow.counts().requests == 0
    send(mesh, 2)
    assert shadow.counts().requests == 2


def test_a_service_without_rules_and_an_unknown_host_are_left_alone_as_well():
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(V2))
    send(mesh, 5, host="ratings")
    mesh.send("GET http://reviews:9080/", headers={"host": "nobody.example"})
    assert shadow.counts().requests == 0


def test_another_sidecar_or_mesh_setting_reaches_every_host():
    mesh = Mesh(MESH + rules(V1))
    egress = "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: all, namespace: default}\n"
    shadow = mesh.shadow(egress + "spec: {egress: [{hosts: [./reviews.default.svc.cluster.local]}]}\n")
    send(mesh, 3, host="ratings")
    assert shadow.counts().differing == 3


def test_a_new_rule_for_a_service_without_one_counts():
    mesh = Mesh(MESH.replace("{name: reviews,", "{name: reviews, annotations: {nodemesh.io/l7: always},", 1))
    shadow = mesh.shadow(rules(V2))
    send(mesh, 2)
    (found,) = shadow.counts().disagreements
    assert (found.count, found.contrast.old.told["to"], found.contrast.new.told["to"]) == (2, "reviews", "reviews v2")


def test_open_connections_are_looked_at_too_and_left_alone_again():
    mesh = Mesh(MESH + rules(V1))
    peer = mesh.world.connect("10.96.0.10", 9080)
    request = b"GET / HTTP/1.1\r\nHost: reviews\r\n\r\n"
    peer.send(request)
    mesh.advance(1)
    shadow = mesh.shadow(rules(V2))
    peer.send(request)
    mesh.advance(1)
    assert shadow.counts().differing == 1
    mesh.world.proxy.tap(())
    peer.send(request)
    mesh.advance(1)
    assert shadow.counts().requests == 1
    assert peer.inbox.count(b"200 OK") == 3


def test_http2_is_looked_at_as_well():
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(V2))
    send(mesh, 4, http2=True)
    assert shadow.counts().differing == 4


def test_requests_at_gateways_count_under_their_port():
    mesh = Mesh(MESH + GATEWAY.replace("TARGET", "reviews"))
    shadow = mesh.shadow(GATEWAY.replace("TARGET", "ratings"))
    answer = mesh.send("GET http://shop.example/", gateway={"app": "edge"})
    assert answer.routed_to("reviews")
    (found,) = shadow.counts().disagreements
    assert (found.contrast.place, found.count) == ("gateway port 80", 1)
    (sample,) = found.samples
    assert (sample.gateway, sample.port, sample.authority) == (True, 80, "shop.example")


def test_clients_that_only_the_candidate_tells_apart_are_told_apart():
    """Live rules do not look at labels, so that both clients share their view of them."""
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(V2.replace("- route", "- match: [{sourceLabels: {app: a}}]\n    route") + "\n  " + V1))
    for app, times in (("a", 3), ("b", 5)):
        mesh.send_many(times, "GET http://reviews:9080/", as_=f"default/{app}", labels={"app": app})
    assert (shadow.counts().requests, shadow.counts().differing) == (8, 3)


def test_samples_are_few_the_newest_and_without_secrets():
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(V2))
    for number in range(9):
        mesh.send(
            f"GET http://reviews:9080/{number}?token=abc", headers={"authorization": "Bearer abc", "end-user": "x"}
        )
    (found,) = shadow.counts().disagreements
    assert [sample.path for sample in found.samples] == ["/3", "/7"]  # of 1, 2, 4, 8
    assert len(found.samples) == SAMPLES
    assert found.samples[-1].headers["authorization"] == REDACTED
    assert found.samples[-1].headers["end-user"] == "x"
    assert "abc" not in msgspec.json.encode(found.samples).decode()


def test_a_candidate_without_an_answer_hurts_nobody(monkeypatch):
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(V2))

    def broken(*_args):
        raise RuntimeError("no answer")

    monkeypatch.setattr(shadow.contraster, "contrast", broken)
    assert send(mesh, 3).to == {"v1": 3}
    assert (shadow.counts().failed, shadow.counts().differing) == (3, 0)
    assert shadow.counts().error == "RuntimeError: no answer"


def test_of_many_disagreements_some_are_told_and_all_are_counted():
    one = "- match: [{uri: {exact: /NUMBER}}]\n    route: [{destination: {host: reviews, subset: v1}}]\n    TIMEOUT"
    text = "\n  ".join(one.replace("NUMBER", str(number)) for number in range(MOST + 5))
    mesh = Mesh(MESH + rules(text.replace("TIMEOUT", "timeout: 2s")))
    shadow = mesh.shadow(rules(text.replace("TIMEOUT", "timeout: 3s")))
    for number in range(MOST + 5):
        mesh.send(f"GET http://reviews:9080/{number}")
    counts = shadow.counts()
    assert (len(counts.disagreements), counts.folded, counts.differing) == (MOST, 5, MOST + 5)


def test_counts_go_on_over_other_tables():
    mesh = Mesh(MESH + rules(V1))
    first = mesh.shadow(rules(V2))
    send(mesh, 2)
    tally: Tally = first.tally
    mesh.configure(MESH + rules(V1 + "\n    timeout: 9s"))
    candidate = tables(MESH + rules(V2))
    second = CandidateTap(mesh.tables, candidate, {}, tally)
    mesh.world.proxy.tap((second,))
    send(mesh, 3)
    assert second.counts().differing == 5


def test_what_workers_count_is_added_up_by_what_it_says():
    mesh = Mesh(MESH + rules(V1))
    shadow = mesh.shadow(rules(JASON.replace("v2", "v1") + V2))
    send(mesh, 2)
    carried = msgspec.msgpack.decode(msgspec.msgpack.encode(shadow.counts()), type=ShadowCounts)
    send(mesh, 1)
    total = merged([carried, shadow.counts()])
    assert (total.requests, total.differing, len(total.disagreements)) == (5, 5, 1)
    assert len(total.disagreements[0].samples) == SAMPLES


def test_a_candidate_leaves_what_the_next_live_tables_are_made_from_alone():
    """Of routes of the Gateway API the former result is carried on, from one version to the next."""
    store = Store()
    live = compile_tables(store.apply("files", load_text(MESH + rules(V1), "mesh.yaml").objects))
    above = Store().apply("files", load_text(rules(V2), "candidate.yaml").objects)
    candidate = compile_beside(overlay(store.snapshot, above), live)
    assert candidate.services is live.services and candidate.routes is live.routes
    assert candidate.virtual_services["default/reviews"] != live.virtual_services["default/reviews"]
    assert live.attached.snapshot is store.snapshot


def test_a_candidate_follows_the_live_tables_by_what_changed():
    """What is the candidate's alone is not compiled again, and what is equal on both sides is the same object."""
    store = Store()
    above = Store().apply("files", load_text(rules(V2), "candidate.yaml").objects)
    live = compile_tables(store.apply("files", load_text(MESH + rules(V1), "mesh.yaml").objects))
    first = compile_beside(overlay(store.snapshot, above), live)
    other = rules(V1).replace("name: reviews", "name: other").replace("hosts: [reviews]", "hosts: [other]")
    live = compile_tables(store.apply("files", load_text(other, "other.yaml").objects), live)
    snapshot = overlay(store.snapshot, above)
    later = compile_beside(snapshot, live, first)
    assert later.virtual_services["default/reviews"] is first.virtual_services["default/reviews"]
    assert later.virtual_services["default/other"] is live.virtual_services["default/other"]
    assert later.services is live.services and later.destination_rules is live.destination_rules
    anew = compile_beside(snapshot, live)
    for name in later.__struct_fields__:
        if name != "attached":
            assert getattr(later, name) == getattr(anew, name), name


def test_decisions_that_are_made_for_one_request_are_not_held_for_ever(monkeypatch):
    """A gateway that sends plain HTTP away makes a redirect for each request."""
    monkeypatch.setattr(sides, "REMEMBERED", 16)
    monkeypatch.setattr(module, "REMEMBERED", 16)
    edge = GATEWAY.replace("hosts: ['*']}", "hosts: ['*'], tls: {httpsRedirect: true}}")
    mesh = Mesh(MESH + edge.replace("TARGET", "reviews"))
    shadow = mesh.shadow(edge.replace("TARGET", "ratings"))
    before = redirects()
    for number in range(100):
        assert mesh.send(f"GET http://shop{number}.example/", gateway={"app": "edge"}).status == 301
    counts = shadow.counts()
    assert (counts.requests, counts.differing, counts.failed) == (100, 0, 0)
    gc.collect()
    assert redirects() - before < 80


def redirects():
    return sum(isinstance(each, Redirect) for each in gc.get_objects())
