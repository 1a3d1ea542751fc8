"""A user's mesh in one process: who is asked, what the upstreams do, what the clock says."""

import pytest

from nodemesh.sim import Mesh
from nodemesh.sim.deeds import ANSWER, HANG
from nodemesh.sim.places import MeshError

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: default}
spec: {clusterIP: ADDRESS, selector: {app: NAME}, ports: [{name: PROTOCOL, port: 80, targetPort: 8080}]}
---
"""


def service(name, protocol="http", address="10.96.0.10"):
    return SERVICE.replace("NAME", name).replace("PROTOCOL", protocol).replace("ADDRESS", address)


def rules(text, hosts="web"):
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: rules, namespace: default}}
spec:
  hosts: [{hosts}]
  http:
  - {text}
---
"""


def destination(policy, subsets="[]"):
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: web, namespace: default}}
spec: {{host: web, trafficPolicy: {policy}, subsets: {subsets}}}
---
"""


WEB = service("web")
ROUTE = "route: [{destination: {host: web}}]"


def test_a_service_without_pods_gets_two_and_a_subset_one_each():
    assert Mesh(WEB).upstream("web").pods == ("default/web-1", "default/web-2")
    mesh = Mesh(
        WEB
        + destination(
            "{loadBalancer: {simple: RANDOM}}", "[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"
        )
    )
    assert mesh.upstream("web").pods == ("default/web-v1", "default/web-v2")
    assert mesh.upstream("web", "v2").pods == ("default/web-v2",)
    assert mesh.upstream("web-v1").pods == ("default/web-v1",)


def test_pods_of_the_yaml_are_taken_as_they_are():
    pod = """
apiVersion: v1
kind: Pod
metadata: {name: web-abc, namespace: default, labels: {app: web}}
spec: {containers: [{name: a, ports: [{containerPort: 8080}]}]}
status: {phase: Running, podIP: 10.1.0.5}
"""
    answer = Mesh(WEB + pod).send("GET http://web/")
    assert (answer.pod, answer.address) == ("default/web-abc", "10.1.0.5:8080")


@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("protocol", ["http", "http2"])
def test_both_versions_of_http_on_both_sides(http2, protocol):
    mesh = Mesh(service("web", protocol) + rules(ROUTE + "\n    rewrite: {uri: /b/}"))
    mesh.upstream("web").answers(201, "made", {"x-a": "1"})
    answer = mesh.send("PUT http://web/a?c=d", {"x-b": "2"}, "body", http2=http2)
    assert (answer.status, answer.text, answer.headers["x-a"]) == (201, "made", "1")
    (seen,) = answer.seen
    assert (seen.method, seen.path, seen.host, seen.body) == ("PUT", "/b/a?c=d", "web", b"body")
    assert seen.protocol == ("HTTP/2" if protocol == "http2" else "HTTP/1.1") and seen.headers["x-b"] == "2"
    large = b"x" * 300_000
    mesh.upstream("web").answers(body=large)
    answer = mesh.send("PUT http://web/a", body=large, http2=http2)
    assert answer.body == large and answer.seen[0].body == large
    assert mesh.send("HEAD http://web/a", http2=http2).status == 200


def test_a_mirror_gets_a_copy_and_decides_nothing():
    mesh = Mesh(WEB + service("copy", address="10.96.0.11") + rules(ROUTE + "\n    mirror: {host: copy}"))
    mesh.upstream("copy").hangs()
    answer = mesh.send("GET http://web/")
    assert answer.status == 200 and answer.service.startswith("web.")
    assert len(answer.seen) == 2
    mesh.upstream("copy").answers(500)
    answer = mesh.send("GET http://web/")
    assert answer.status == 200 and answer.copies[0].startswith("default/copy-")


def test_faults_come_by_the_seed_and_take_their_time():
    text = WEB + rules(ROUTE + "\n    fault: {delay: {fixedDelay: 7s, percentage: {value: 50}}}")
    one, same = ([answer.seconds for answer in Mesh(text, seed=4).send_many(40, "GET http://web/")] for _ in range(2))
    assert one == same and set(one) == {0.0, 7.0}
    assert [answer.seconds for answer in Mesh(text, seed=5).send_many(40, "GET http://web/")] != one


def test_times_are_exact_however_late_it_is():
    mesh = Mesh(WEB + rules(ROUTE + "\n    timeout: 250ms"))
    mesh.upstream("web").hangs()
    for wait in (0.0, 0.1, 3600.0, 86400.0):
        mesh.advance(wait)
        assert mesh.send("GET http://web/").seconds == 0.25


def test_what_is_told_for_some_requests_is_done_first():
    mesh = Mesh(WEB + rules(ROUTE + "\n    retries: {attempts: 0}"))
    mesh.upstream("web-1").answers(200)
    web = mesh.upstream("web").answers(503, times=1).answers(204)
    assert sorted(answer.status for answer in mesh.send_many(4, "GET http://web/")) == [204, 204, 503, 503]
    web.does(lambda seen: HANG if seen.path == "/slow" else ANSWER)
    assert mesh.send("GET http://web/").status == 200
    hung = mesh.send("GET http://web/slow", patience=20)
    assert (hung.status, hung.error, hung.seconds) == (0, "no answer", 20.0)
    assert "DC" in hung.flags


def test_who_refuses_and_who_vanishes():
    mesh = Mesh(WEB + destination("{connectionPool: {tcp: {connectTimeout: 2s}}}"))
    assert mesh.send("GET http://web/").status == 200
    web = mesh.upstream("web").refuses()
    answer = mesh.send("GET http://web/")
    assert (answer.status, answer.flags) == (503, "URX,UF") and answer.seconds < 1
    web.vanishes()
    assert mesh.send("GET http://web/").seconds > 6
    web.recovers()
    assert mesh.send("GET http://web/").status == 200


def test_a_connection_limit_is_seen_by_requests_at_once():
    pool = "{connectionPool: {http: {http1MaxPendingRequests: 1}, tcp: {maxConnections: 1}}}"
    mesh = Mesh(WEB + rules(ROUTE + "\n    retries: {attempts: 0}") + destination(pool))
    mesh.upstream("web").answers(after=1.0)
    statuses = mesh.at_once(5, "GET http://web/").statuses
    assert statuses[503] and statuses[200] and len(statuses) == 2


def test_kernel_and_pass_are_told():
    mesh = Mesh(service("db", "tcp"))
    answer = mesh.send("GET tcp://db:80", body=b"hi")
    assert (answer.mode, answer.body, answer.service) == ("kernel", b"hi", "db.default.svc.cluster.local")
    outside = mesh.send("GET https://api.example.com/")
    assert (outside.mode, outside.status, outside.cluster) == ("pass", 200, "PassthroughCluster")
    mesh.upstream("api.example.com").answers(418)
    assert mesh.send("GET http://api.example.com/").status == 418


def test_a_server_may_speak_first():
    mesh = Mesh(service("mail", "tcp"))
    mesh.upstream("mail").greets(b"220 ready ")
    assert mesh.send("GET tcp://mail:80", body=b"EHLO").body == b"220 ready "


def test_registry_only_lets_no_stranger_pass():
    mesh = Mesh(
        WEB + "apiVersion: nodemesh.io/v1alpha1\nkind: MeshConfig\nmetadata: {name: default, namespace: istio-system}\n"
        "spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}\n"
    )
    assert mesh.send("GET http://api.example.com/").status == 502


def test_a_service_entry_is_found_by_its_name():
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: api, namespace: default}
spec:
  hosts: [api.example.com]
  location: MESH_EXTERNAL
  resolution: RESOLUTION
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
---
"""
    for resolution in ("DNS", "NONE"):
        mesh = Mesh(entry.replace("RESOLUTION", resolution) + rules(
            "{fault: {abort: {httpStatus: 418, percentage: {value: 100}}}, match: [{uri: {prefix: /tea}}],"
            " route: [{destination: {host: api.example.com}}]}\n"
            "  - route: [{destination: {host: api.example.com}}]",
            "api.example.com",
        ))  # fmt: skip
        assert mesh.send("GET http://api.example.com/tea").status == 418
        answer = mesh.send("GET http://api.example.com/")
        assert (answer.status, answer.pod) == (200, "api.example.com"), resolution
        secure = mesh.send("GET https://api.example.com/")
        assert (secure.status, secure.pod, secure.seen[0].tls) == (200, "api.example.com", True)


def test_tls_is_originated_and_read_at_the_other_end():
    mesh = Mesh(WEB + destination("{tls: {mode: MUTUAL, clientCertificate: /a, privateKey: /b, caCertificates: /c}}"))
    answer = mesh.send("GET http://web/")
    assert answer.status == 200 and answer.seen[0].tls


def test_a_gateway_by_name_with_source_and_proxy_protocol():
    gateway = """
apiVersion: v1
kind: Pod
metadata:
  name: edge
  namespace: default
  labels: {istio: ingressgateway}
  annotations: {proxy.istio.io/config: '{gatewayTopology: {proxyProtocol: {}}}'}
spec: {containers: []}
status: {phase: Running, podIP: 10.1.0.9}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}]
---
"""
    text = rules(ROUTE, "web.example.com").replace("hosts:", "gateways: [edge]\n  hosts:", 1)
    mesh = Mesh(WEB + gateway + text)
    labels = {"istio": "ingressgateway"}
    answer = mesh.send("GET http://web.example.com/", gateway=labels, as_="default/edge", source="198.51.100.9")
    assert answer.status == 200 and answer.seen[0].headers["x-forwarded-for"].startswith("198.51.100.9")
    assert mesh.send("GET http://other.example.com/", gateway=labels, as_="default/edge").status == 404
    for request in ("GET http://web.example.com:81/", "GET https://web.example.com/"):
        refused = mesh.send(request, gateway=labels, as_="default/edge")  # where nothing listens
        assert (refused.status, refused.error, refused.seconds) == (0, "reset", 0.0), request


def test_the_client_is_a_pod_its_app_or_given_by_labels():
    mesh = Mesh(
        WEB
        + service("page", address="10.96.0.11")
        + rules("{match: [{sourceLabels: {app: page}}], directResponse: {status: 299}}\n  - " + ROUTE)
    )
    assert mesh.send("GET http://web/", as_="default/page-1").status == 299
    assert mesh.send("GET http://web/", as_="default/page").status == 299
    assert mesh.send("GET http://web/", as_="default/job", labels={"app": "page"}).status == 299
    assert mesh.send("GET http://web/").status == 200
    with pytest.raises(MeshError, match="there is no pod nobody"):
        mesh.send("GET http://web/", as_="default/nobody")


def test_rules_change_under_way():
    mesh = Mesh(WEB)
    assert mesh.send("GET http://web/").status == 200
    mesh.upstream("web").answers(202)
    mesh.configure(WEB + rules("directResponse: {status: 299}"))
    assert mesh.send("GET http://web/").status == 299
    mesh.configure(WEB)
    assert mesh.send("GET http://web/").status == 202


def test_what_is_refused_is_told_with_its_place(tmp_path):
    (tmp_path / "a.yaml").write_text(WEB + rules("{rout: []}"))
    with pytest.raises(MeshError, match=r"a.yaml:1\d:\d+: .*rout"):
        Mesh(tmp_path)


@pytest.mark.parametrize(
    "request_, word",
    [
        ("GET http://webb/", "did you mean web"),
        ("G T http://web/", "blank"),
        ("GET tcp://web", "names no port"),
    ],
)
def test_a_request_that_is_none_is_an_error(request_, word):
    with pytest.raises(MeshError, match=word):
        Mesh(WEB).send(request_)


@pytest.mark.parametrize("version", ["V1", "V2"])
@pytest.mark.parametrize("tls", ["", ", tls: {mode: SIMPLE, caCertificates: /c}"])
def test_endpoints_are_told_the_client_by_the_proxy_protocol(version, tls):
    policy = f"{{proxyProtocol: {{version: {version}}}{tls}}}"
    mesh = Mesh(service("web", "tcp") + destination(policy))
    answer = mesh.send("GET tcp://10.96.0.10:80", body=b"hi")
    (seen,) = answer.seen
    assert (answer.body, answer.mode, seen.tls) == (b"hi", "proxy", bool(tls))
    assert seen.announced.startswith("10.1.0.9:")
    for protocol in ("http", "http2"):
        mesh = Mesh(service("web", protocol) + destination(policy))
        for answer in mesh.send_many(2, "GET http://web/"):
            assert (answer.status, answer.seen[0].announced) == (200, "")


def test_a_subset_speaks_the_proxy_protocol_alone():
    subsets = "[{name: v1, labels: {v: a}, trafficPolicy: {proxyProtocol: {}}}, {name: v2, labels: {v: b}}]"
    to = "{match: [{uri: {prefix: /1}}], route: [{destination: {host: web, subset: v1}}]}"
    text = WEB + rules(to + "\n  - route: [{destination: {host: web, subset: v2}}]")
    mesh = Mesh(text + destination("{loadBalancer: {simple: RANDOM}}", subsets))
    assert [mesh.send(f"GET http://web/{number}").seen[0].announced for number in (1, 2)] == ["", None]


@pytest.mark.parametrize("tls", ["", ", tls: {mode: SIMPLE, caCertificates: /c}"])
def test_a_connection_goes_through_a_connect_proxy(tls):
    tunnel = f"{{tunnel: {{protocol: CONNECT, targetHost: db.example, targetPort: 5432}}{tls}}}"
    mesh = Mesh(service("web", "tcp") + destination(tunnel))
    answer = mesh.send("GET tcp://web:80", body=b"hi")
    asked, inside = answer.seen
    assert (answer.body, answer.mode, asked.method, asked.tls) == (b"hi", "proxy", "CONNECT", bool(tls))
    assert (asked.path, asked.host, inside.body) == ("db.example:5432", "db.example:5432", b"hi")
    mesh.upstream("web").answers(403)
    refused = mesh.send("GET tcp://web:80", body=b"hi")
    assert (refused.error, refused.flags) == ("reset", "UF")
    mesh.upstream("web").hangs()
    assert mesh.send("GET tcp://web:80", body=b"hi").error == "reset"
