"""Every code that a finding across objects can have, with what it says in one line."""

from __future__ import annotations

#: Those that are found where the mesh is live.
LIVE_CODES: dict[str, str] = {
    "no-endpoints": "A destination has no endpoint that is ready.",
}

ACROSS_CODES: dict[str, str] = {
    "address-of-another": "A ServiceEntry, or a Service by its externalIPs, claims addresses or a host of another.",
    "bad-candidate": "An annotation with a candidate has errors, and no shadow tries it.",
    "conflicting-virtual-service": "An older VirtualService has the same host, and counts alone.",
    "costly-regexes": "The regular expressions of a host are too costly together to be one pass over a path.",
    "delegate-conflict": "A match of a delegate's rule is outside of what its root lets through; the rule falls whole.",
    "delegate-too-large": "A root's matches and its delegates' ones make too many pairs; rules that find no room fall.",
    "delegate-not-exported": "A delegate is not exported to its root's namespace.",
    "displaced-by-listener": "A listener of the Gateway API has the port of a server at the same workload.",
    "displaced-by-route": "A route of the Gateway API is on the same Service, and counts in the rule's place.",
    "empty-subset": "No endpoint has the labels of a subset.",
    "gateway-without-workload": "No pod has the labels that a Gateway selects.",
    "host-not-exported": "A destination is not exported to the rule's namespace.",
    "host-not-exposed": "A Gateway does not expose the host of a VirtualService that is bound to it.",
    "host-of-another": "A VirtualService for other namespaces' clients has a host that is another namespace's.",
    "listener-not-served": "A listener cannot be served.",
    "no-provider": "Telemetry names a provider that MeshConfig does not have, or none where there is none.",
    "no-weight": "A destination among several has no weight, and gets no traffic.",
    "not-a-delegate": "The VirtualService that is delegated to has hosts.",
    "policy-ignored": "An older DestinationRule of the same host has a trafficPolicy, which counts alone.",
    "policy-not-accepted": "A policy of the Gateway API does not count for one of its targets.",
    "protocol-hides-rules": "The protocol of the host's ports keeps the rules from applying.",
    "rollout-without-canaries": "A VirtualService's changes are staged, but none of its clients can be a canary.",
    "route-not-accepted": "A route does not attach to one of its parents, or has rules that cannot be carried out.",
    "route-unresolved": "A route refers to something that is not there, or not granted.",
    "rule-not-seen": "A DestinationRule stands where most clients do not get it.",
    "service-without-endpoints": "Other services have endpoints, this one has none.",
    "telemetry-ignored": "An older Telemetry for the same workloads counts alone.",
    "subset-ignored": "An older DestinationRule of the same host defines the subset.",
    "pinned-streams": "A port stays in the kernel, where all streams of an HTTP/2 connection reach one endpoint.",
    "undeclared-protocol": "The host's protocol is not declared, and has to be guessed.",
    "unknown-class": "There is no GatewayClass of that name.",
    "unknown-delegate": "There is no VirtualService of that name to delegate to.",
    "unknown-gateway": "There is no Gateway of that name.",
    "unknown-host": "No service has that host.",
    "unknown-parent": "There is no Gateway or ListenerSet of that name.",
    "unknown-port": "The service has no such port.",
    "unknown-subset": "The host's DestinationRule has no such subset.",
    "unregistered-host": "The rules are for a host that no service has.",
    "upgrade-ignored": "An h2UpgradePolicy has no effect, since the port's protocol is not declared.",
}
