"""The Kubernetes Gateway API (gateway.networking.k8s.io) as typed structs, with the API server's defaults filled in.

Field names, bounds and defaults are those of release 1.6.1; where the main branch spells a field otherwise, both are
read. What the API server checks with CEL is in `validate/gatewayapi/`."""

from __future__ import annotations

GROUP = "gateway.networking.k8s.io"
#: The group of kinds that are tried out (the X in their names).
X_GROUP = "gateway.networking.x-k8s.io"
