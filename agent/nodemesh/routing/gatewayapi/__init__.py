"""The Kubernetes Gateway API: which routes attach where, and what becomes of requests by them.

`attach` is one pure stage: classes, Gateways and ListenerSets give listeners, routes attach to listeners and Services,
and every status condition falls out on the way. `placement` finds a route's parents, `rivals` says which of several
routes has a place, `verdicts` what becomes of Gateways and listeners. `rules` has what the tables carry of it, `rows`
makes of that the same rows and decisions as VirtualServices give, `serve` answers for a gateway's listeners."""

from __future__ import annotations

#: Who we are in GatewayClass and XMesh, and in the statuses of routes.
GATEWAY_CONTROLLER = "nodemesh.io/gateway-controller"
MESH_CONTROLLER = "nodemesh.io/mesh-controller"
#: The class that the manifests create.
CLASS = "nodemesh"
#: The label by which a Gateway's pods are known (GEP-1762).
GATEWAY_NAME_LABEL = "gateway.networking.k8s.io/gateway-name"
