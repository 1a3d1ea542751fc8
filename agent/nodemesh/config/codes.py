"""Every code that a finding in one object can have, with what it says in one line (`lint` documents them from here)."""

from __future__ import annotations

#: The text itself.
TEXT_CODES: dict[str, str] = {
    "file-too-large": "The file is larger than what is read.",
    "not-utf8": "A byte of the file is not UTF-8.",
    "yaml-syntax": "The document is not YAML; the file's other documents are read all the same.",
    "json-syntax": "The text is not JSON.",
    "yaml-alias": "An alias names no anchor, an anchor around itself, or expands without bound.",
    "yaml-too-deep": "Lists and mappings are nested deeper than any object needs.",
    "yaml-key": "A mapping's key is not a word, or YAML reads it as a boolean.",
    "duplicate-key": "A mapping has the same key twice.",
}

#: The object's frame and the types of its fields.
SHAPE_CODES: dict[str, str] = {
    "not-an-object": "The document is not a Kubernetes object.",
    "missing-kind": "apiVersion or kind is missing.",
    "unknown-kind": "The API group has no such kind.",
    "unknown-version": "The kind has no such version.",
    "unsupported-kind": "The kind is known but has no effect here.",
    "no-pods-from-it": "Pods are read, not the object that a cluster makes them from.",
    "istio-mesh-config": "Istio's own mesh config is not read; the kind MeshConfig has its settings.",
    "unknown-field": "The field does not exist at this place.",
    "unsupported-field": "The field exists in the API but cannot be used here.",
    "no-effect": "The value is accepted, but has no effect here.",
    "deprecated-field": "The field has a successor.",
    "missing-field": "A required field is missing.",
    "null-element": "A list's element or a map's value is null.",
    "wrong-type": "The value has another type than the field.",
    "bad-enum": "The value is not one of the field's values.",
    "bad-duration": "The value is not a duration, or not one that is possible here.",
    "bad-base64": "The value is not base64.",
    "bad-time": "The value is not an RFC 3339 time.",
    "out-of-range": "The number is too small or too large.",
    "too-many": "The list or text is longer than allowed.",
    "too-few": "The list or text is shorter than allowed, or empty.",
    "bad-value": "The value does not have the form that the field needs.",
    "one-of": "Fields that exclude each other are set, or none of them is.",
}

#: Names, addresses and values.
VALUE_CODES: dict[str, str] = {
    "bad-address": "The value is not an address, subnet or socket as the field needs it.",
    "bad-annotation": "An annotation's value, or a part of it, cannot be read and is passed over.",
    "bad-capture-mode": "The captureMode does not fit the listener.",
    "bad-credential": "The credential cannot hold what the TLS mode needs.",
    "bad-export-to": "exportTo names no namespace, or contradicts itself.",
    "bad-gateway": "The value is not a gateway's name.",
    "bad-header": "The value is not a header's name or value, or the header cannot be changed.",
    "bad-host": "The value is not a host name as the field needs it.",
    "bad-folder": "The value is not a folder that can be allowed.",
    "bad-label": "The value is not a label's name or value.",
    "bad-locality": "The value is not a locality, or localities overlap.",
    "bad-log-format": "The format of the access log has an operator that is unknown or written wrongly.",
    "bad-method": "The value is not an HTTP method.",
    "bad-name": "The value is not a name of the needed form.",
    "bad-percentage": "The value is not a percentage.",
    "bad-port": "The number is not a port.",
    "bad-protocol": "The value is not a protocol that the field knows.",
    "bad-regex": "The value is not an RE2 expression, or too long.",
    "bad-retry-on": "The value is not a condition for retries.",
    "bad-scheme": "The value is neither http nor https.",
    "bad-status": "The value is not a status code that the field can have.",
    "bad-table-size": "Maglev's table size is not a prime in range.",
    "bad-tls-version": "The lowest TLS version is above the highest.",
    "bad-weight": "A weight is out of range, or the weights do not add up.",
    "bad-failover": "The failover is not between two regions.",
    "duplicate-host": "A host is listed twice, or is covered by another of the list.",
    "duplicate-name": "A name is used twice where it has to be unique.",
    "duplicate-port": "A port is used twice where it has to be unique.",
    "empty-match": "A match asks for nothing.",
    "empty-policy": "An object or block sets nothing.",
    "empty-selector": "The selector selects every workload.",
    "selector-wildcard": "A workload selector has a `*`.",
    "dry-run": "The dry-run annotation is on an object that knows none.",
}

#: Rules of VirtualService.
VIRTUAL_SERVICE_CODES: dict[str, str] = {
    "no-routes": "The VirtualService has no rule.",
    "no-action": "The rule says nothing of what to do.",
    "conflicting-actions": "The rule has two actions, or an action and what it cannot have beside it.",
    "bad-delegate": "A VirtualService without hosts has what only a root can have.",
    "nested-delegate": "A delegate delegates again.",
    "wildcard-in-mesh": "The host `*` is used outside of gateways.",
    "claim-in-mesh": "JWT claims are matched outside of gateways.",
    "authority-twice": "A route rewrites the authority in two ways.",
    "prefix-rewrite": "prefixRewrite stands beside a match that is no prefix.",
    "empty-redirect": "The redirect changes nothing.",
    "empty-rewrite": "The rewrite changes nothing.",
    "empty-fault": "The fault injects nothing.",
    "no-percentage": "The fault has no percentage and never happens.",
    "unused-status": "The redirect's status is never sent.",
    "retry-without-attempts": "Retries are set up, but no attempts.",
    "body-too-large": "The direct response's body is too large.",
    "body-large": "The direct response's body is large.",
    "sni-address": "An SNI match is an address, which clients never send.",
    "sni-not-in-hosts": "An SNI match is not covered by the hosts.",
    "unreachable-rule": "A rule before takes every request.",
    "unreachable-match": "A match before takes the same requests.",
}

#: Rules of the other kinds.
OTHER_CODES: dict[str, str] = {
    "failover-without-outlier-detection": "Failover without outlierDetection has no effect.",
    "local-origin": "Local failures are counted without splitExternalLocalOriginErrors.",
    "tls-on-plain-port": "TLS settings stand at a port whose protocol has none.",
    "unknown-cipher": "The cipher suite is not known or listed twice.",
    "old-tls-version": "A TLS version below 1.2 is let in without cipher suites.",
    "cidr-resolution": "A subnet address needs the resolution NONE or STATIC.",
    "dynamic-dns": "DYNAMIC_DNS is used with what it cannot resolve.",
    "endpoints-without-resolution": "Endpoints are listed with the resolution NONE.",
    "hosts-share-tcp-port": "Several hosts share a port that cannot tell them apart.",
    "partial-wildcard": "A `*` stands for a part of a label.",
    "tcp-without-address": "A TCP port without addresses takes all traffic to its number.",
    "out-of-reach": "A file or socket of the agent is named that is not allowed to the object's writer.",
    "unix-endpoint": "A unix socket's endpoint does not fit the ports or the resolution.",
    "unknown-port-name": "An endpoint's port names no port of the ServiceEntry.",
    "wildcard-lookup": "A wildcard host cannot be looked up in DNS.",
    "no-address": "The workload has a network but no address.",
    "port-less-listener": "The egress listener without a port is not the last or not the only one.",
    "egress-proxy": "An egressProxy stands beside another mode than ALLOW_ANY.",
}

CODES: dict[str, str] = TEXT_CODES | SHAPE_CODES | VALUE_CODES | VIRTUAL_SERVICE_CODES | OTHER_CODES
