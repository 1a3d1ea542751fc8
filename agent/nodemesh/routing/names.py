"""Names as Istio reads them: short names, aliases, wildcards, gateways and exportTo."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address

from ..registry.addresses import canonical_address

MESH_GATEWAY = "mesh"


def resolve_host(host: str, namespace: str, domain: str) -> str:
    """A name without dots is a service of the object's own namespace; all else stays (`reviews.prod` too)."""
    host = host.lower().rstrip(".")
    if not host or "." in host or ":" in host or host.startswith("*"):
        return host
    return f"{host}.{namespace}.svc.{domain}"


def resolve_gateway(name: str, namespace: str) -> str:
    """`namespace/name` of a gateway as a VirtualService in `namespace` names it; `mesh` is reserved."""
    if name == MESH_GATEWAY:
        return name
    if "/" in name:
        owner, _, bare = name.partition("/")
        return f"{namespace if owner == '.' else owner}/{bare}"
    if "." in name:  # the legacy form gw.namespace.svc.cluster.local
        bare, owner = name.split(".")[:2]
        return f"{owner}/{bare}"
    return f"{namespace}/{name}"


def is_visible(export_to: tuple[str, ...], namespace: str) -> bool:
    return "*" in export_to or namespace in export_to


def covers(pattern: str, host: str) -> bool:
    """Whether `pattern` (a host or a wildcard such as `*.foo.com`) covers `host` (which may be a wildcard itself)."""
    if pattern == host or pattern == "*":
        return True
    if not pattern.startswith("*"):
        return False
    suffix = pattern[1:]
    if host.startswith("*"):
        return host[1:].endswith(suffix)
    return len(host) > len(suffix) and host.endswith(suffix)


def by_specificity(hosts: Iterable[str]) -> tuple[str, ...]:
    """The wildcards among `hosts`, the longest (most specific) first."""
    return tuple(sorted((host for host in hosts if host.startswith("*")), key=lambda host: (-len(host), host)))


def specificity(pattern: str) -> int:
    """Exact names above all wildcards, long wildcards above short ones."""
    return len(pattern) if pattern.startswith("*") else 1000 + len(pattern)


def expand_alias(host: str, namespace: str, domain: str) -> str | None:
    """The full name behind `name` (in the client's namespace), `name.ns` or `name.ns.svc`; None if it has another
    shape."""
    parts = host.split(".")
    if not all(parts) or ":" in host:
        return None
    if len(parts) == 1:
        return f"{host}.{namespace}.svc.{domain}"
    if len(parts) == 2:
        return f"{host}.svc.{domain}"
    if len(parts) == 3 and parts[2] == "svc":
        return f"{host}.{domain}"
    return None


def namespace_in(host: str, domain: str) -> str:
    """The namespace to which a name below the cluster's domain belongs, `*` for a wildcard over those of several; empty
    for all other names."""
    below = f".svc.{domain}"
    if host.endswith(below):
        return host.removesuffix(below).rpartition(".")[2]
    return "*" if host.startswith("*") and below.endswith(host[1:]) else ""


def strip_port(authority: str) -> str:
    """The host of an authority, lower-cased, without port, brackets of IPv6 and a trailing dot."""
    authority = authority.lower()
    if authority.startswith("["):
        end = authority.find("]")
        return canonical_address(authority[1:end]) if end > 0 else authority
    if authority.count(":") == 1:
        authority = authority.partition(":")[0]
    elif authority.count(":") > 1:
        return canonical_address(authority)
    return authority.rstrip(".") or authority


def is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
