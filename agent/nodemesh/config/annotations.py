"""nodemesh's own labels and annotations (`nodemesh.io/…`) and the values that they may have."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from .meshconfig import L7, FailurePolicy

#: What all of them begin with.
OWN = "nodemesh.io/"

#: On a Service: which way connections to it take, and what becomes of them while nobody serves. The latter on a
#: Namespace, as a label or annotation: what becomes of its pods' connections then.
L7_ANNOTATION = "nodemesh.io/l7"
FAILURE_POLICY_ANNOTATION = "nodemesh.io/failure-policy"

#: On a Service or ServiceEntry: how the proxy chooses among endpoints, where its DestinationRule has no other wish than
#: Istio's default; and what becomes of a subset of which no endpoint serves.
LOAD_BALANCER_ANNOTATION = "nodemesh.io/load-balancer"
SUBSET_FAILOVER_ANNOTATION = "nodemesh.io/subset-failover"


class LoadBalancerWish(StrEnum):
    """PEAK_EWMA: by latency and load, as Linkerd does. LEAST_REQUEST: by load alone."""

    PEAK_EWMA = "PEAK_EWMA"
    LEAST_REQUEST = "LEAST_REQUEST"


class SubsetFailover(StrEnum):
    """any: the service's other endpoints serve as long as none of the subset's does. none: 503, as in Istio."""

    ANY = "any"
    NONE = "none"


#: The label or annotation on a Pod or its Namespace that takes pods out of the mesh, and on a Pod back in.
MESH = "nodemesh.io/mesh"
#: The same for their DNS: whether the mesh answers it, whatever MeshConfig's dnsCapture says.
DNS = "nodemesh.io/dns"
#: The same, for the kernel to move bytes between the pods' sockets and the proxy's without TCP, where MeshConfig's
#: sockmap says so.
SOCKMAP = "nodemesh.io/sockmap"
DISABLED = "disabled"
ENABLED = "enabled"

_BALANCING = {
    LOAD_BALANCER_ANNOTATION: tuple(value.value for value in LoadBalancerWish),
    SUBSET_FAILOVER_ANNOTATION: tuple(value.value for value in SubsetFailover),
}

_SWITCHES = dict.fromkeys((MESH, DNS, SOCKMAP), (ENABLED, DISABLED))

#: What may be said by kind, and the values. Another value counts as none.
VALUES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "Service": {
        L7_ANNOTATION: tuple(value.value for value in L7),
        FAILURE_POLICY_ANNOTATION: tuple(value.value for value in FailurePolicy),
        **_BALANCING,
    },
    "ServiceEntry": _BALANCING,
    "Pod": _SWITCHES,
    "Namespace": {**_SWITCHES, FAILURE_POLICY_ANNOTATION: (FailurePolicy.CLOSED.value,)},
}
