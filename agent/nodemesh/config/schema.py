"""The CustomResourceDefinitions, generated from the structs: structural schemas, CEL rules and printer columns."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from .base import Base64, Duration
from .decode import strip_null, type_of
from .descriptions import DESCRIPTIONS
from .kinds import ISTIO_KINDS, MESH_CONFIG, Kind
from .yaml import write

Schema = dict[str, Any]

#: Struct and JSON name of the fields that the API server insists on.
REQUIRED: dict[str, tuple[str, ...]] = {
    "Attribute": ("name",),
    "Destination": ("host",),
    "DestinationRuleSpec": ("host",),
    "ExecHealthCheckConfig": ("command",),
    "HTTPCookie": ("name",),
    "HTTPDirectResponse": ("status",),
    "HTTPHealthCheckConfig": ("port",),
    "HTTPMirrorPolicy": ("destination",),
    "HTTPRouteDestination": ("destination",),
    "IstioEgressListener": ("hosts",),
    "IstioIngressListener": ("port",),
    "Port": ("number", "protocol", "name"),
    "RouteDestination": ("destination",),
    "Server": ("port", "hosts"),
    "ServiceEntrySpec": ("hosts",),
    "ServicePort": ("number", "name"),
    "Subset": ("name",),
    "TCPHealthCheckConfig": ("port",),
    "TLSMatchAttributes": ("sniHosts",),
    "TLSRoute": ("match",),
    "TunnelSettings": ("targetHost", "targetPort"),
    "WarmupConfiguration": ("duration",),
    "WorkloadGroupSpec": ("template",),
}

#: Groups of fields of which at most one is set (protobuf's oneof).
ONE_OF: dict[str, tuple[tuple[str, ...], ...]] = {
    "Abort": (("httpStatus", "grpcStatus", "http2Error"),),
    "ConsistentHashLB": (
        ("httpHeaderName", "httpCookie", "useSourceIp", "httpQueryParameterName"),
        ("ringHash", "maglev"),
    ),
    "Delay": (("fixedDelay", "exponentialDelay"),),
    "HTTPBody": (("string", "bytes"),),
    "HTTPRedirect": (("port", "derivePort"),),
    "LoadBalancerSettings": (("simple", "consistentHash"),),
    "ReadinessProbe": (("httpGet", "tcpSocket", "exec", "grpc"),),
    "StringMatch": (("exact", "prefix", "regex"),),
}

#: protobuf's wrapper types, where null is a value of its own.
NULLABLE: frozenset[tuple[str, str]] = frozenset(
    {
        ("ClientTLSSettings", "insecureSkipVerify"),
        ("CorsPolicy", "allowCredentials"),
        ("HTTPRetry", "retryIgnorePreviousHosts"),
        ("HTTPRetry", "retryRemoteLocalities"),
        ("HTTPRoute", "mirrorPercent"),
        ("LocalityLoadBalancerSetting", "enabled"),
        ("OutlierDetection", "consecutive5xxErrors"),
        ("OutlierDetection", "consecutiveGatewayErrors"),
        ("OutlierDetection", "consecutiveLocalOriginFailures"),
        ("RetryBudget", "percent"),
        ("ServerTLSSettings", "insecureSkipVerify"),
        ("WarmupConfiguration", "aggression"),
        ("WarmupConfiguration", "minimumPercent"),
        ("ZoneAwareLoadBalancerSetting", "enabled"),
        ("ZoneAwareLoadBalancerSetting", "minClusterSize"),
    }
)

#: Durations that may be zero.
ANY_DURATION = frozenset({("TCPSettings", "idleTimeout"), ("HTTPCookie", "ttl"), ("RetryBudget", "budgetInterval")})

_PORT = ("0 < self && self <= 65535", "port must be between 1-65535")
_NO_WILDCARD = ('!self.contains("*")', "wildcard is not supported in selector")
_UNIX = '(has(self.address) ? self.address : "").startsWith("unix://") ? !has(self.ports) : true'

#: CEL rules of whole structs.
STRUCT_RULES: dict[str, tuple[tuple[str, str], ...]] = {
    "ServerTLSSettings": tuple(
        (f"(has(self.{one}) ? 1 : 0) + (has(self.{other}) ? 1 : 0) <= 1", f"only one of {one} or {other} can be set")
        for one, other in (
            ("tlsCertificates", "credentialNames"),
            ("credentialName", "credentialNames"),
            ("credentialName", "tlsCertificates"),
        )
    ),
    "ServiceEntrySpec": (
        (
            "(has(self.workloadSelector) ? 1 : 0) + (has(self.endpoints) ? 1 : 0) <= 1",
            "only one of WorkloadSelector or Endpoints can be set",
        ),
        (
            '!((has(self.addresses) ? self.addresses : []).exists(k, k.contains("/")) && '
            '!((has(self.resolution) ? self.resolution : "NONE") in ["STATIC", "NONE"]))',
            "CIDR addresses are allowed only for NONE/STATIC resolution types",
        ),
        (
            '((has(self.resolution) ? self.resolution : "NONE") == "NONE") ? !has(self.endpoints) : true',
            "NONE mode cannot set endpoints",
        ),
        (
            '((has(self.resolution) ? self.resolution : "") == "DNS_ROUND_ROBIN") ? '
            "((has(self.endpoints) ? self.endpoints : []).size() <= 1) : true",
            "DNS_ROUND_ROBIN mode cannot have multiple endpoints",
        ),
    ),
    "WorkloadEntrySpec": (
        ("has(self.address) || has(self.network)", "Address is required"),
        (_UNIX, "UDS may not include ports"),
    ),
}

#: Bounds and rules of single fields; `items` holds for a list's elements, `values` for a map's.
FIELD_RULES: dict[tuple[str, str], Schema] = {
    ("ExecHealthCheckConfig", "command"): {"items": {"minLength": 1}},
    ("GroupMeta", "annotations"): {"maxProperties": 256},
    ("GroupMeta", "labels"): {"maxProperties": 256},
    ("GrpcHealthCheckConfig", "port"): {"rules": (_PORT,)},
    ("HTTPHeader", "name"): {"pattern": "^[-_A-Za-z0-9]+$"},
    ("HTTPHealthCheckConfig", "port"): {"rules": (_PORT,)},
    ("HTTPHealthCheckConfig", "scheme"): {
        "rules": (('self in ["", "HTTP", "HTTPS"]', "scheme must be one of [HTTP, HTTPS]"),)
    },
    ("NetworkingWorkloadSelector", "labels"): {
        "maxProperties": 256,
        "values": {"maxLength": 63, "rules": (_NO_WILDCARD,)},
    },
    ("OutlierDetection", "outlierDetectionHttpErrorCodes"): {"items": {"minimum": 100, "maximum": 599}},
    ("RetryBudget", "percent"): {"minimum": 0, "maximum": 100},
    ("ServerTLSSettings", "credentialNames"): {"minItems": 1, "maxItems": 2},
    ("ServerTLSSettings", "tlsCertificates"): {"minItems": 1, "maxItems": 2},
    ("ServiceEntrySpec", "addresses"): {"maxItems": 256, "items": {"maxLength": 64}},
    ("ServiceEntrySpec", "endpoints"): {"maxItems": 4096},
    ("ServiceEntrySpec", "hosts"): {
        "minItems": 1,
        "maxItems": 256,
        "items": {"rules": (('self != "*"', "hostname cannot be wildcard"),)},
    },
    ("ServiceEntrySpec", "ports"): {
        "maxItems": 256,
        "rules": (("self.all(l1, self.exists_one(l2, l1.number == l2.number))", "port number cannot be duplicated"),),
    },
    ("ServicePort", "name"): {"maxLength": 256},
    ("ServicePort", "number"): {"rules": (_PORT,)},
    ("ServicePort", "protocol"): {"maxLength": 256},
    ("ServicePort", "targetPort"): {"rules": (_PORT,)},
    ("TCPHealthCheckConfig", "port"): {"rules": (_PORT,)},
    ("TrafficPolicy", "portLevelSettings"): {"maxItems": 4096},
    ("WarmupConfiguration", "aggression"): {"minimum": 0},
    ("WarmupConfiguration", "minimumPercent"): {"minimum": 0, "maximum": 100},
    ("WorkloadEntrySpec", "address"): {
        "maxLength": 256,
        "rules": (
            (
                'self.startsWith("unix://") ? (self.substring(7, 8) == "/" || self.substring(7, 8) == "@") : true',
                "UDS must be an absolute path or abstract socket",
            ),
            ('self.startsWith("unix://") ? !self.endsWith("/") : true', "UDS may not be a dir"),
        ),
    },
    ("WorkloadEntrySpec", "labels"): {"maxProperties": 256},
    ("WorkloadEntrySpec", "locality"): {"maxLength": 2048},
    ("WorkloadEntrySpec", "network"): {"maxLength": 2048},
    ("WorkloadEntrySpec", "ports"): {
        "maxProperties": 128,
        "rules": (
            (
                'self.all(key, size(key) < 63 && key.matches("^[a-zA-Z0-9](?:[-a-zA-Z0-9]*[a-zA-Z0-9])?$"))',
                "port name must be valid",
            ),
        ),
        "values": {"rules": (_PORT,)},
    },
    ("WorkloadEntrySpec", "serviceAccount"): {"maxLength": 253},
    ("WorkloadSelector", "matchLabels"): {
        "maxProperties": 4096,
        "rules": (
            ('self.all(key, !key.contains("*"))', "wildcard not allowed in label key match"),
            ("self.all(key, key.size() != 0)", "key must not be empty"),
        ),
        "values": {
            "maxLength": 63,
            "rules": (('!self.contains("*")', "wildcard not allowed in label value match"),),
        },
    },
    ("ZoneAwareLoadBalancerSetting", "minClusterSize"): {"minimum": 1},
    **{
        ("ReadinessProbe", name): {"minimum": 0}
        for name in ("failureThreshold", "initialDelaySeconds", "periodSeconds", "successThreshold", "timeoutSeconds")
    },
}

#: kubectl's short names and columns (name, JSONPath); every kind has its age as well.
SHORT_NAMES = {
    "VirtualService": "vs",
    "DestinationRule": "dr",
    "Gateway": "gw",
    "ServiceEntry": "se",
    "WorkloadEntry": "we",
    "WorkloadGroup": "wg",
    "Telemetry": "telemetry",
}
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    "VirtualService": (("Gateways", ".spec.gateways"), ("Hosts", ".spec.hosts")),
    "DestinationRule": (("Host", ".spec.host"),),
    "ServiceEntry": (("Hosts", ".spec.hosts"), ("Location", ".spec.location"), ("Resolution", ".spec.resolution")),
    "WorkloadEntry": (("Address", ".spec.address"),),
    "MeshConfig": (("Root", ".spec.rootNamespace"), ("L7", ".spec.l7")),
}


def crds() -> str:
    """All the definitions as YAML documents, ready for `kubectl apply`."""
    return "---\n".join(documents().values())


def documents() -> dict[str, str]:
    """The definitions by their file names: ours in `manifests/crds/`, Istio's below it in `istio/`."""
    return {f"{_plural(kind)}.yaml": write(_definition(kind)) for kind in (*ISTIO_KINDS, MESH_CONFIG)}


def _plural(kind: Kind) -> str:
    name = kind.name.lower()
    return f"{name[:-1]}ies" if name.endswith("ry") else f"{name}s"


def _definition(kind: Kind) -> Schema:
    plural = _plural(kind)
    names: Schema = {"kind": kind.name, "listKind": f"{kind.name}List", "plural": plural, "singular": kind.name.lower()}
    if kind.name in SHORT_NAMES:
        names["shortNames"] = [SHORT_NAMES[kind.name]]
    if kind is not MESH_CONFIG:
        names["categories"] = ["istio-io", f"{kind.group.partition('.')[0]}-istio-io"]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{kind.group}", "labels": {"app.kubernetes.io/part-of": "nodemesh"}},
        "spec": {
            "group": kind.group,
            "names": names,
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(kind, version) for version in kind.versions],
        },
    }


def _version(kind: Kind, version: str) -> Schema:
    columns: list[Schema] = [
        {"name": name, "type": "string", "jsonPath": path} for name, path in COLUMNS.get(kind.name, ())
    ]
    columns.append({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})
    spec = _struct(type_of(kind.spec))
    if kind.name == "VirtualService":  # the one field that Istio's CRD has in both spellings
        properties = spec["properties"]["http"]["items"]["properties"]
        properties["mirror_percent"] = properties["mirrorPercent"]
    root: Schema = {
        "type": "object",
        "properties": {"spec": spec, "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    if kind.name in ("ServiceEntry", "WorkloadEntry", "WorkloadGroup"):
        root["required"] = ["spec"]
    return {
        "name": version,
        "served": True,
        "storage": version == kind.versions[0],
        "additionalPrinterColumns": columns,
        "schema": {"openAPIV3Schema": root},
        "subresources": {"status": {}},
    }


def _struct(kind: inspect.StructType, *, template: bool = False) -> Schema:
    """`template` says that it is a WorkloadGroup's, whose address comes later."""
    name = kind.cls.__name__
    schema: Schema = {"type": "object"}
    description = kind.cls.__dict__.get("__doc__")
    if description:
        schema["description"] = _in_yaml_names(" ".join(description.split()), kind)
    schema["properties"] = {field.encode_name: _field(name, field) for field in kind.fields}
    if name in REQUIRED:
        schema["required"] = list(REQUIRED[name])
    groups = [_at_most_one(group) for group in ONE_OF.get(name, ())]
    if len(groups) == 1:
        schema["oneOf"] = groups[0]
    elif groups:
        schema["allOf"] = [{"oneOf": group} for group in groups]
    rules = STRUCT_RULES.get(name, ())
    _add_rules(schema, rules[1:] if template else rules)
    return schema


def _in_yaml_names(text: str, kind: inspect.StructType) -> str:
    """What the struct's own story calls by Python's names."""
    names = {field.name: field.encode_name for field in kind.fields if "_" in field.name}
    return re.sub(r"\b[a-z]+(_[a-z0-9]+)+\b", lambda found: names.get(found[0], found[0]), text)


def _at_most_one(names: tuple[str, ...]) -> list[Schema]:
    each: list[Schema] = [{"required": [name]} for name in names]
    return [{"not": {"anyOf": each}}, *each]


def _field(struct: str, field: inspect.Field) -> Schema:
    kind = strip_null(field.type)
    place = (struct, field.encode_name)
    if struct == "WorkloadGroupSpec" and isinstance(kind, inspect.StructType) and field.encode_name == "template":
        schema = _struct(kind, template=True)
    else:
        schema = _value(kind, zero=place in ANY_DURATION)
    if place in DESCRIPTIONS:
        schema = {"description": DESCRIPTIONS[place]} | {k: v for k, v in schema.items() if k != "description"}
    extra = dict(FIELD_RULES.get(place, {}))
    rules = extra.pop("rules", ())
    for inner, key in (("items", "items"), ("values", "additionalProperties")):
        more = dict(extra.pop(inner, {}))
        inner_rules = more.pop("rules", ())
        if more or inner_rules:
            schema[key] |= more
            _add_rules(schema[key], inner_rules)
    schema |= extra
    _add_rules(schema, rules)
    if place in NULLABLE:
        schema["nullable"] = True
    return schema


def _value(kind: inspect.Type, *, zero: bool = False) -> Schema:
    match strip_null(kind):
        case inspect.StructType() as struct:
            return _struct(struct)
        case inspect.VarTupleType(item_type=item):
            return {"type": "array", "items": _value(item)}
        case inspect.DictType(value_type=value):
            return {"type": "object", "additionalProperties": _value(value)}
        case inspect.IntType(ge=low, le=high):
            return _integer(low, high)
        case inspect.FloatType():
            return {"type": "number", "format": "double"}
        case inspect.BoolType():
            return {"type": "boolean"}
        case inspect.EnumType(cls=values):
            return {"type": "string", "enum": [str(value.value) for value in values]}
        case inspect.CustomType(cls=cls) if cls is Duration:
            schema: Schema = {"type": "string"}
            if not zero:
                rule = ("duration(self) >= duration('1ms')", "must be a valid duration greater than 1ms")
                _add_rules(schema, (rule,))
            return schema
        case inspect.CustomType(cls=cls) if cls is Base64:
            return {"type": "string", "format": "byte"}
        case _:
            return {"type": "string"}


def _integer(low: int | None, high: int | None) -> Schema:
    if low == 0 and high == 2**32 - 1:
        return {"type": "integer", "minimum": 0, "maximum": high}
    if low == 0:
        return {"type": "integer", "minimum": 0}
    return {"type": "integer", "format": "int32"} if low is not None else {"type": "integer", "format": "int64"}


def _add_rules(schema: Schema, rules: tuple[tuple[str, str], ...]) -> None:
    if rules:
        written = schema.setdefault("x-kubernetes-validations", [])
        written += [{"rule": rule, "message": message} for rule, message in rules]


def walk(spec: type[msgspec.Struct]) -> Iterator[tuple[str, str, str, inspect.Type]]:
    """Every field below a spec: its path (`[]` for a list's elements, `{}` for a map's values), the struct that has
    it, its JSON name and its type."""
    yield from _walk(type_of(spec), "spec")


def _walk(kind: inspect.StructType, path: str) -> Iterator[tuple[str, str, str, inspect.Type]]:
    for field in kind.fields:
        here = f"{path}.{field.encode_name}"
        inner = strip_null(field.type)
        yield here, kind.cls.__name__, field.encode_name, inner
        if isinstance(inner, inspect.VarTupleType):
            here, inner = f"{here}[]", strip_null(inner.item_type)
        elif isinstance(inner, inspect.DictType):
            here, inner = f"{here}{{}}", strip_null(inner.value_type)
        if isinstance(inner, inspect.StructType):
            yield from _walk(inner, here)
