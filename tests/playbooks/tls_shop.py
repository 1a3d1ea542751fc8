"""A service outside of the mesh that the proxy reaches over TLS, by the files and rules of a test."""

from nodemesh.lab.certificates import Authority
from nodemesh.proxy.tls.materials import Materials
from nodemesh.sim.world import World

from .tls_peer import TlsPeer, settle

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: shop, namespace: default}
spec:
  hosts: [shop.example]
  addresses: [10.96.0.10]
  ports:
  - {number: 80, name: http, protocol: HTTP, targetPort: 443}
  - {number: 81, name: tcp, protocol: TCP, targetPort: 443}
  resolution: STATIC
  location: MESH_EXTERNAL
  endpoints: [{address: 10.9.0.1}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: shop, namespace: default}
spec:
  host: shop.example
  trafficPolicy: {tls: TLS}
"""

SIMPLE = "{mode: SIMPLE, caCertificates: /ca.pem}"
GET = b"GET /a HTTP/1.1\r\nHost: shop.example\r\n\r\n"


def shop(tls: str, authority: Authority, **files: bytes) -> World:
    world = World(ENTRY.replace("TLS}", tls + "}"))
    world.server = world.serve("10.9.0.1", 443)
    named = {f"/{name}.pem": content for name, content in files.items()}
    world.proxy.shared.certificates.replace(Materials({"/ca.pem": authority.certificate, **named}))
    return world


def answer(world, context) -> TlsPeer:
    """The upstream's side of the newest connection."""
    upstream = TlsPeer(world.server.accept(), context, server=True)
    settle(world, upstream)
    return upstream
