"""The two entrances: YAML text and API objects become typed, valid objects, and problems that say what was refused."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from .base import CoreModel
from .core import (
    ConfigMapSpec,
    EndpointSliceSpec,
    OwnerReference,
    PodSpec,
    SecretSpec,
    ServiceSpec,
    ServiceStatus,
)
from .decode import decode
from .kinds import KINDS, MESH_CONFIG, UNSUPPORTED, WATCHED_GROUPS, Kind, split_api_version
from .meta import Location, Meta, Object, Path
from .problems import Finding, Findings, Problem, Severity, path_text
from .serviceentry import ServiceEntrySpec, ServiceEntryStatus
from .validate.table import validate
from .yaml import Document, Flaw, Marks, YamlNode, read

_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?")  # Istio's own examples have nsA
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?")

#: Characters of a field manager's name, which Kubernetes allows.
MAX_MANAGER = 128

_ENVELOPE = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


class LoadResult(msgspec.Struct, frozen=True):
    """What came out of one file or API object: the objects that are accepted, and everything found."""

    objects: tuple[Object[Any], ...]
    problems: tuple[Problem, ...]


class ObjectMeta(CoreModel, frozen=True, kw_only=True):
    """Kubernetes' metadata as it is written (meta/v1 ObjectMeta)."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    deletion_grace_period_seconds: int = 0
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()
    self_link: str = ""
    cluster_name: str = ""


class StrictObjectMeta(ObjectMeta, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same for the kinds whose every unknown field is told, and of which somebody asks who wrote them."""

    managed_fields: Any = None


class DocumentPlace(msgspec.Struct, frozen=True, kw_only=True):
    """Where an object was written: its source's name and, for text, its document and its path inside that."""

    file: str
    document: Document | None = None
    prefix: Path = ()

    def node(self) -> YamlNode | None:
        """The object's root in the text."""
        found = self.document.root.find(self.prefix) if self.document is not None else None
        return found[2] if found is not None else None


def load_text(text: bytes | str, file: str) -> LoadResult:
    """The objects of a YAML (or JSON) file with any number of documents; `file` is named in every location."""
    objects: list[Object[Any]] = []
    problems: list[Problem] = []
    for item in read(text, file):
        if isinstance(item, Flaw):
            problems.append(_flaw_problem(item))
        else:
            _load(item.root.value, DocumentPlace(file=file, document=item), objects, problems)
    return LoadResult(tuple(objects), tuple(problems))


def load_object(data: dict[str, Any], source: str) -> LoadResult:
    """An object (or list of objects) as an API server gives it; `source` stands in the place of a file name."""
    objects: list[Object[Any]] = []
    problems: list[Problem] = []
    _load(data, DocumentPlace(file=source), objects, problems)
    return LoadResult(tuple(objects), tuple(problems))


def _flaw_problem(flaw: Flaw) -> Problem:
    return Problem(
        code=flaw.code, message=flaw.message, refused=True, location=flaw.location, path=path_text(flaw.path)
    )


def _load(data: Any, origin: DocumentPlace, objects: list[Object[Any]], problems: list[Problem]) -> None:
    """One object, or the items of a list, into `objects` and `problems`."""
    findings = Findings()
    meta = Meta(name="")
    kind_name = ""
    if not isinstance(data, dict):
        message = "a Kubernetes object is expected here, with apiVersion, kind, metadata and spec"
        findings.error("not-an-object", (), message)
    else:
        kind_name = str(data.get("kind") or "")
        items = data.get("items")
        if kind_name.endswith("List") and (isinstance(items, list) or (kind_name == "List" and items is None)):
            _load_items(data, origin, objects, problems)
            return
        meta = _brief_meta(data)
        kind = _kind_of(data, findings) if kind_name != "List" else None
        if kind_name == "List":
            findings.error("wrong-type", ("items",), 'expected a list of objects (each element behind "- ")')
        elif kind is not None:
            loaded = _load_kind(data, kind, origin, findings)
            if loaded is not None:
                objects.append(loaded)
                meta = loaded.meta
    group = split_api_version(str(data.get("apiVersion") or ""))[0] if isinstance(data, dict) else ""
    problems.extend(_problems(findings, origin, group, kind_name, meta))


def _load_items(
    data: dict[str, Any], origin: DocumentPlace, objects: list[Object[Any]], problems: list[Problem]
) -> None:
    element = data["kind"].removesuffix("List")
    for index, item in enumerate(data.get("items") or ()):
        if element and isinstance(item, dict) and "kind" not in item:  # an API server's list leaves both out
            item = {"apiVersion": data.get("apiVersion"), "kind": element, **item}
        inner = msgspec.structs.replace(origin, prefix=(*origin.prefix, "items", index))
        _load(item, inner, objects, problems)


def _brief_meta(data: dict[str, Any]) -> Meta:
    """Name and namespace for the problems of an object whose metadata may be wrong."""
    written = data.get("metadata")
    written = written if isinstance(written, dict) else {}
    name, namespace = written.get("name"), written.get("namespace")
    return Meta(name=name if isinstance(name, str) else "", namespace=namespace if isinstance(namespace, str) else "")


def _kind_of(data: dict[str, Any], findings: Findings) -> Kind | None:
    """The kind that an object is of, if it is one that is read."""
    api_version, name = data.get("apiVersion"), data.get("kind")
    for field, value in (("apiVersion", api_version), ("kind", name)):
        if not isinstance(value, str) or not value:
            message = f"{field} is missing; a Kubernetes object begins with apiVersion and kind"
            findings.error("missing-kind", (field,) if field in data else (), message)
            return None
    assert isinstance(api_version, str) and isinstance(name, str)
    group, version = split_api_version(api_version)
    kind = KINDS.get((group, name))
    if kind is not None:
        if version in kind.versions:
            return kind
        right = ", ".join(f"{group}/{good}" if group else good for good in kind.versions)
        findings.bad_value("unknown-version", ("apiVersion",), f"{name} has no version `{version}`; right is {right}")
        return None
    reason = UNSUPPORTED.get((group, name))
    if reason is not None:
        findings.warning("unsupported-kind", ("kind",), f"{name} is not supported and has no effect: {reason}")
    elif group in WATCHED_GROUPS:
        _unknown_kind(group, name, findings)
    else:
        _suspect_group(group, name, findings)
    return None


def _unknown_kind(group: str, name: str, findings: Findings) -> None:
    names = [kind for owner, kind in (*KINDS, *UNSUPPORTED) if owner == group]
    close = difflib.get_close_matches(name, names, 1, 0.6)
    hint = f"did you mean `{close[0]}`?" if close else f"known are {', '.join(sorted(names))}"
    findings.bad_value("unknown-kind", ("kind",), f"{group} has no kind `{name}`; {hint}")


def _suspect_group(group: str, name: str, findings: Findings) -> None:
    """Another project's object is passed over in silence, unless its group looks like a misspelt one of ours."""
    groups = {kind.group for kind in KINDS.values() if kind.group and kind.name == name}
    close = difflib.get_close_matches(group, groups, 1, 0.8)
    if close:
        message = f"`{group}` has no kind `{name}` that is known here; did you mean `{close[0]}`?"
        findings.bad_value("unknown-kind", ("apiVersion",), message)


def _load_kind(data: dict[str, Any], kind: Kind, origin: DocumentPlace, findings: Findings) -> Object[Any] | None:
    """The accepted object, None (and at least one error in `findings`) where it is refused."""
    root = origin.node()
    if origin.document is not None:
        depth = len(origin.prefix)
        for flaw in origin.document.flaws:
            if flaw.path[:depth] == origin.prefix:
                findings.error(flaw.code, flaw.path[depth:], flaw.message)
    if kind.strict:
        for key in data.keys() - _ENVELOPE:
            close = difflib.get_close_matches(key, _ENVELOPE, 1, 0.6)
            hint = f"did you mean `{close[0]}`?" if close else "the object's own fields stand below `spec`"
            findings.error("unknown-field", (key,), f"unknown field `{key}`; {hint}")
    written = decode(
        data.get("metadata") or {}, StrictObjectMeta if kind.strict else ObjectMeta, ("metadata",), findings, root
    )
    meta = meta_of(written, kind, findings) if written is not None else None
    spec = _spec(data, kind, written, findings, root)
    if meta is not None and spec is not None:
        validate(kind, spec, meta, findings)
    if meta is None or spec is None or any(item.severity is Severity.ERROR for item in findings.items):
        return None
    location = Location(origin.file, root.line, root.column) if root is not None else Location(origin.file)
    if origin.document is not None:
        marks: Mapping[Path, Location] = Marks(origin.document.chunk, origin.prefix)
    else:
        marks = {("spec", name): location for name in data.get("spec") or ()} if kind is MESH_CONFIG else {}
    status = _status(data, kind)
    return Object(kind=kind.name, group=kind.group, meta=meta, spec=spec, location=location, marks=marks, status=status)


def meta_of(written: ObjectMeta, kind: Kind, findings: Findings) -> Meta:
    """What counts of metadata; what is wrong with it goes into `findings`."""
    if not written.name:
        findings.error("missing-field", ("metadata", "name"), "metadata.name is required")
    elif len(written.name) > 253 or not _SUBDOMAIN.fullmatch(written.name):
        message = f"`{written.name}` is not a name; right are lower-case letters, digits, `-` and `.`"
        findings.bad_value("bad-name", ("metadata", "name"), message)
    if written.namespace and (len(written.namespace) > 63 or not _LABEL.fullmatch(written.namespace)):
        message = f"`{written.namespace}` is not a namespace; right are letters, digits and `-`"
        findings.bad_value("bad-name", ("metadata", "namespace"), message)
    for key, value in written.labels.items():
        if len(value) > 63 or not _LABEL_VALUE.fullmatch(value):
            message = f"`{value}` is not a label's value; right are up to 63 letters, digits, `-`, `_` and `.`"
            findings.bad_value("bad-label", ("metadata", "labels", key), message)
    author, seconds = _author(written.managed_fields) if isinstance(written, StrictObjectMeta) else ("", 0.0)
    return Meta(
        name=written.name,
        namespace=(written.namespace or "default") if kind.namespaced else "",
        labels=written.labels,
        annotations=written.annotations,
        uid=written.uid,
        created=_seconds(written.creation_timestamp, findings),
        resource_version=written.resource_version,
        generation=written.generation,
        deleting=bool(written.deletion_timestamp),
        author=author,
        written=seconds,
    )


def _author(managed: Any) -> tuple[str, float]:
    """Who wrote an object last, but for its status and other subresources, and when (meta/v1 ManagedFieldsEntry)."""
    newest = ("", 0.0)
    for entry in managed if isinstance(managed, list) else ():
        if not isinstance(entry, dict) or entry.get("subresource"):
            continue
        try:
            seconds = datetime.fromisoformat(str(entry.get("time"))).timestamp()
        except ValueError:
            continue
        if seconds >= newest[1]:
            newest = (str(entry.get("manager", ""))[:MAX_MANAGER], seconds)
    return newest


def _seconds(timestamp: str, findings: Findings) -> float:
    if not timestamp:
        return 0.0
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except ValueError:
        message = f"`{timestamp}` is not a time; right is RFC 3339, for instance 2026-01-31T12:00:00Z"
        findings.bad_value("bad-time", ("metadata", "creationTimestamp"), message)
        return 0.0


def _spec(
    data: dict[str, Any], kind: Kind, written: ObjectMeta | None, findings: Findings, root: YamlNode | None
) -> msgspec.Struct | None:
    """The spec; core kinds that keep it elsewhere are brought into that form (see core.py)."""
    if kind.spec is EndpointSliceSpec:
        return decode(data, kind.spec, (), findings, root)
    if kind.spec is SecretSpec:
        return _secret(data, findings, root)
    if kind.spec is ConfigMapSpec:
        return decode({"data": data.get("data")}, kind.spec, (), findings, root)
    spec = decode(data.get("spec") or {}, kind.spec, ("spec",), findings, root)
    if isinstance(spec, ServiceSpec) and data.get("status"):
        found = decode(data["status"], ServiceStatus, (), Findings())  # not its author's: what is wrong is not there
        return with_published(spec, found) if found is not None else spec
    if isinstance(spec, PodSpec):
        status = decode({"status": data.get("status")}, PodSpec, (), findings, root)
        if status is None or written is None:
            return None
        return msgspec.structs.replace(spec, status=status.status, owners=written.owner_references)
    return spec


def with_published(spec: ServiceSpec, status: ServiceStatus) -> ServiceSpec:
    """A Service's spec with the addresses and names that its status has from a load balancer."""
    ingress = status.load_balancer.ingress
    return (
        msgspec.structs.replace(spec, published=tuple(one.ip or one.hostname for one in ingress)) if ingress else spec
    )


def _status(data: dict[str, Any], kind: Kind) -> msgspec.Struct | None:
    """What others wrote of the object. It is not its author's mistake: what is wrong with it counts as not there."""
    if kind.spec is not ServiceEntrySpec:
        return None
    status = data.get("status")
    addresses = status.get("addresses") if isinstance(status, dict) else None
    return decode({"addresses": addresses}, ServiceEntryStatus, (), Findings(), None) if addresses else None


def _secret(data: dict[str, Any], findings: Findings, root: YamlNode | None) -> SecretSpec | None:
    """A Secret's contents. Problems with it never quote what it holds."""
    found = Findings()
    secret = decode({"type": data.get("type"), "data": data.get("data")}, SecretSpec, (), found, root)
    for item in found.items:
        message = "`data` is a map of names to base64 strings (`stringData`: to plain ones); this value is none"
        findings.bad_value(item.code, item.path, message)
    plain = data.get("stringData")
    if secret is not None and isinstance(plain, dict):
        added = {key: value.encode() for key, value in plain.items() if isinstance(value, str)}
        secret = msgspec.structs.replace(secret, data=secret.data | added)
    return secret


def _problems(findings: Findings, origin: DocumentPlace, group: str, kind: str, meta: Meta) -> list[Problem]:
    if not findings.items:
        return []
    root = origin.node()
    found = KINDS.get((group, kind))
    unscoped = not kind or (found is not None and not found.namespaced)
    namespace = meta.namespace or ("" if unscoped else "default")
    return [
        Problem(
            code=item.code,
            message=item.message,
            severity=item.severity,
            refused=item.severity is Severity.ERROR,
            location=_place(item, root, origin.file),
            kind=kind,
            group=group,
            namespace=namespace,
            name=meta.name,
            path=path_text(item.path),
        )
        for item in findings.items
    ]


def _place(item: Finding, root: YamlNode | None, file: str) -> Location:
    """The finding's place: its key or value, or the innermost part of its path that was written."""
    if root is None:
        return Location(file)
    for end in range(len(item.path), -1, -1):
        found = root.find(item.path[:end])
        if found is not None:
            line, column, node = found
            if item.at_value and end == len(item.path):
                line, column = node.line, node.column
            return Location(file, line, column)
    return Location(file, root.line, root.column)
