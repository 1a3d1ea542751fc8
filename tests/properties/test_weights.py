"""Ten thousand requests through the proxy share themselves out as the weights say."""

from math import sqrt

from tests.playbooks.mesh import rule

from nodemesh.sim.world import World

REQUESTS = 10_000
WEIGHTS = {"v1": 1, "v2": 1, "v3": 2}

SUBSETS = [{"name": name, "labels": {"version": name}} for name in WEIGHTS]

MESH = f"""
apiVersion: v1
kind: Service
metadata: {{name: reviews, namespace: default}}
spec: {{clusterIP: 10.96.0.10, selector: {{app: reviews}}, ports: [{{name: http, port: 80, targetPort: 9080}}]}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: default}}
spec: {{host: reviews, subsets: {SUBSETS}}}
"""

POD = """
---
apiVersion: v1
kind: Pod
metadata: {name: %(name)s, namespace: default, labels: {app: reviews, version: %(name)s}}
spec: {}
status: {phase: Running, podIP: %(address)s, conditions: [{type: Ready, status: "True"}]}
"""


def test_weights_hold_within_three_sigma():
    addresses = {name: f"10.1.0.{number}" for number, name in enumerate(WEIGHTS, 1)}
    pods = "".join(POD % {"name": name, "address": address} for name, address in addresses.items())
    split = "".join(
        f"- {{destination: {{host: reviews, subset: {name}}}, weight: {weight}}}\n" for name, weight in WEIGHTS.items()
    )
    world = World(MESH + pods + rule("route:\n" + split))
    servers = {name: world.serve(address, 9080) for name, address in addresses.items()}
    client = world.connect("10.96.0.10", 80)
    got = dict.fromkeys(WEIGHTS, 0)
    for _ in range(REQUESTS):
        client.send(b"GET / HTTP/1.1\r\nhost: reviews\r\n\r\n")
        world.run()
        for name, server in servers.items():
            for peer in server.connections:
                if peer.take():
                    got[name] += 1
                    peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        world.run()
        assert client.take().startswith(b"HTTP/1.1 204")
    total = sum(WEIGHTS.values())
    for name, weight in WEIGHTS.items():
        share = weight / total
        assert abs(got[name] - REQUESTS * share) <= 3 * sqrt(REQUESTS * share * (1 - share)), got
