"""A small mesh for the conversations: one service with two endpoints, and rules that a test may add."""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: default}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: http, port: 80}, {name: tcp-raw, port: 81}, {name: any, port: 82}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: reviews-1, namespace: default, labels: {kubernetes.io/service-name: reviews}}
addressType: IPv4
ports: [{name: http, port: 9080}, {name: tcp-raw, port: 9081}, {name: any, port: 9082}]
endpoints:
- {addresses: [10.1.0.1], conditions: {ready: true}}
"""

GRPC = SERVICE.replace("name: http,", "name: grpc,")

SECOND = "- {addresses: [10.1.0.2], conditions: {ready: true}}\n"


def rule(text: str) -> str:
    """A VirtualService for `reviews` with one rule."""
    body = "\n".join("    " + line for line in text.strip().splitlines())
    return f"""
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: reviews, namespace: default}}
spec:
  hosts: [reviews]
  http:
  -
{body}
"""


ROUTE = "route: [{destination: {host: reviews}}]"

HTTP10 = """
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec: {http10: true}
"""

LIMITS = """
---
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {{name: default, namespace: istio-system}}
spec: {{limits: {{{}}}}}
"""


def pool_of(settings: str) -> str:
    """A DestinationRule for `reviews` with these connection pool settings."""
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: reviews, namespace: default}}
spec: {{host: reviews, trafficPolicy: {{connectionPool: {{{settings}}}}}}}
"""
