"""What `explain` is asked: who asks, what is dialled, and what is asked for there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from itertools import islice
from urllib.parse import urlsplit

import msgspec

from ..config.proxyconfig import Topology
from ..config.validate.common import is_token
from ..registry.services import selects
from ..registry.snapshot import Snapshot, Workload
from .client import Client
from .fields import NO_REPEATED, WRITTEN, asked_upgrade, gather, leave_hop, members
from .names import strip_port
from .request import Request
from .rewrite import normalize_path
from .tables import Tables

#: Pods among which one of a like name is looked for.
LOOKED_THROUGH = 500

DEFAULT_PORTS = {"http": 80, "https": 443, "tls": 443}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked: the URL says what is dialled, the headers what is asked for there."""

    scheme: str
    host: str
    port: int
    request: Request
    sni: str = ""


class QuestionError(ValueError):
    """The question cannot be answered as it was put: the method or URL says too little or nonsense, or there is no such
    client. The message says what would be right."""


def question_of(method: str, url: str, headers: Iterable[tuple[str, str]] = (), sni: str = "") -> Question:
    """Raises QuestionError. A Host header stands for the URL's host; `sni` for the server name of https and tls."""
    if not is_token(method):
        raise QuestionError(f"{method!r} is no method; right is for instance GET")
    if any(character.isspace() for character in url):
        raise QuestionError(f"{url!r} has a blank in it; write it as %20")
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        scheme = parts.scheme.lower()
        port = parts.port or DEFAULT_PORTS.get(scheme)
    except ValueError as error:
        raise QuestionError(f"{url} has no valid address and port: {error}") from None
    if scheme not in ("http", "https", "tls", "tcp", "udp"):
        raise QuestionError(f"{url} has the scheme {scheme}; right are http, https, tls, tcp and udp")
    if not parts.hostname:
        raise QuestionError(f"{url} names no host; right is for instance http://reviews:9080/path")
    if port is None:
        raise QuestionError(f"{url} names no port; a {scheme} URL needs one")
    fields: dict[bytes, bytes] = {}
    repeated = NO_REPEATED
    authority = parts.netloc.rpartition("@")[2]
    for name, value in headers:
        check_field(name.strip(), value)
        key = name.strip().lower().encode()
        if key in (b"host", b":authority"):
            authority = value.strip()
        elif key not in WRITTEN:
            repeated = gather(fields, repeated, key, value.strip().encode())
    options = members(fields.get(b"connection", b""))
    leave_hop(fields, repeated, asked_upgrade(fields.get(b"upgrade", b""), options))
    try:
        path = normalize_path((parts.path or "/").encode())
    except ValueError as error:
        raise QuestionError(f"the URL has a path with {error}") from error
    request = Request(
        method.encode(),
        b"https" if scheme == "https" else b"http",
        authority.encode(),
        path,
        parts.query.encode(),
        fields,
    )
    request.repeated = repeated
    return Question(scheme=scheme, host=parts.hostname, port=port, request=request, sni=sni or strip_port(authority))


def check_field(name: str, value: str) -> None:
    """A field that no head can carry (RFC 9110 section 5) is refused. Raises QuestionError."""
    if not is_token(name) and name != ":authority":
        raise QuestionError(f"{name!r} is no header's name; right is for instance end-user")
    if any(character in "\r\n\0" for character in value):
        raise QuestionError(f"the header {name} has a line break or NUL in its value")


def _meant(snapshot: Snapshot | None, namespace: str, name: str) -> str:
    """The pod that has nearly this name, as the end of a sentence: of a big namespace, of the first ones alone."""
    workloads = snapshot.workloads if snapshot is not None else {}
    near = (key for key in workloads if key.startswith(f"{namespace}/") or key.endswith(f"/{name}"))
    close = get_close_matches(f"{namespace}/{name}", islice(near, LOOKED_THROUGH), 1)
    return f"; did you mean {close[0]}?" if close else ""


def client_for(tables: Tables, who: str, *, gateway_labels: dict[str, str] | None = None) -> Client:
    """The client that `--as NS/POD` or `--as NS` means, or the gateway workload with the given labels. Raises
    QuestionError for a pod that is not there."""
    snapshot = tables.snapshot
    namespace, _, name = who.partition("/")
    namespace = namespace or "default"
    if not name:
        if gateway_labels and namespace == "default":
            namespace = gateway_namespace(tables, gateway_labels)
        return Client(
            namespace=namespace,
            labels=gateway_labels or {},
            network=snapshot.network if snapshot is not None else "",
            cluster=snapshot.cluster if snapshot is not None else "",
            gateway=gateway_labels is not None,
            topology=gateway_topology(tables, gateway_labels) if gateway_labels else None,
        )
    workload = snapshot.workloads.get(f"{namespace}/{name}") if snapshot is not None else None
    if workload is None:
        raise QuestionError(f"there is no pod {name} in namespace {namespace}{_meant(snapshot, namespace, name)}")
    return Client(
        namespace=namespace,
        name=name,
        labels=gateway_labels if gateway_labels is not None else workload.labels,
        locality=workload.locality,
        node=workload.node,
        network=workload.network,
        cluster=workload.cluster,
        gateway=gateway_labels is not None,
        service_account=workload.service_account,
        owner=workload.owner,
        topology=workload.topology,
    )


def gateway_namespace(tables: Tables, labels: dict[str, str]) -> str:
    """Where the workload with these labels runs; `default` if none is known."""
    found = sorted(workload.namespace for workload in gateways(tables, labels))
    return found[0] if found and "default" not in found else "default"


def gateway_topology(tables: Tables, labels: dict[str, str]) -> Topology | None:
    """What the first workload with these labels says of itself."""
    return next((workload.topology for workload in gateways(tables, labels)), None)


def gateways(tables: Tables, labels: dict[str, str]) -> list[Workload]:
    """The workloads that these labels mean."""
    workloads = tables.snapshot.workloads if tables.snapshot is not None else {}
    return [workload for _, workload in sorted(workloads.items()) if selects(labels, workload.labels)]
