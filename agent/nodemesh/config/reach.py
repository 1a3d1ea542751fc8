"""What an object may name outside of the mesh, by whose word it is: files, unix sockets and environment variables.

All that an object of a rule's kind can name of the agent's own machine is listed by `named`. What the operator's own
files say may name any of it. What comes from an API server is the word of whoever may write in some namespace: it may
name files and sockets below the folders that MeshConfig allows, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec

from .destinationrule import ClientTLSSettings, DestinationRuleSpec, TrafficPolicy
from .gateway import GatewaySpec, ServerTLSMode, ServerTLSSettings
from .meta import Object, Origin, Path
from .problems import Problem, path_text
from .serviceentry import ServiceEntrySpec
from .workload import WorkloadEntrySpec

#: `caCertificates` for the system's own authorities.
SYSTEM = "system"

UNIX = "unix://"

#: Modes of a gateway's server that end TLS.
TERMINATING = (ServerTLSMode.SIMPLE, ServerTLSMode.MUTUAL, ServerTLSMode.OPTIONAL_MUTUAL)

#: Where a gateway's pod has the files that its Gateways name: Istio's own mount points.
GATEWAY_FOLDERS = ("/etc/istio", "/etc/certs")


#: Stands before what is withheld: no file has such a name.
WITHHELD = "(not allowed) "

#: The kinds that secure traffic by what they name: without them it would go in plain text.
SECURING = frozenset({"DestinationRule", "Gateway"})


class Reach(msgspec.Struct, frozen=True):
    """The folders below which files and sockets of the agent may be named, None for all there are. `gateway` says that
    this process serves Gateways: elsewhere it is all the same what their servers name."""

    folders: tuple[str, ...] | None = ()
    gateway: bool = False


#: The operator's own.
EVERYWHERE = Reach(folders=None, gateway=True)


class NamedPath(NamedTuple):
    """A file or socket that stands at one place of an object."""

    field: Path
    place: str
    is_socket: bool


def reach_of(origin: Origin, given: Reach) -> Reach:
    """What an object of this origin may name; `given` is what the operator gives to the API server's objects."""
    return EVERYWHERE if origin is Origin.OPERATOR else given


def tls_settings(item: Object[Any]) -> Iterator[tuple[Path, ClientTLSSettings | ServerTLSSettings]]:
    """The TLS settings of a DestinationRule, or those of a Gateway that end TLS, each with its place."""
    spec = item.spec
    if isinstance(spec, GatewaySpec):
        for index, server in enumerate(spec.servers):
            if server.tls is not None and server.tls.mode in TERMINATING:
                yield ("spec", "servers", index, "tls"), server.tls
    if not isinstance(spec, DestinationRuleSpec):
        return
    policies: list[tuple[Path, TrafficPolicy | None]] = [(("spec", "trafficPolicy"), spec.traffic_policy)]
    for index, subset in enumerate(spec.subsets):
        policies.append((("spec", "subsets", index, "trafficPolicy"), subset.traffic_policy))
    for path, policy in policies:
        if policy is None:
            continue
        if policy.tls is not None:
            yield (*path, "tls"), policy.tls
        for index, settings in enumerate(policy.port_level_settings):
            if settings.tls is not None:
                yield (*path, "portLevelSettings", index, "tls"), settings.tls


def named_files(tls: ClientTLSSettings | ServerTLSSettings) -> Iterator[tuple[Path, str]]:
    """The files that TLS settings name, each with its place in them."""
    found: list[tuple[Path, str | None]] = [
        (("caCertificates",), tls.ca_certificates),
        (("caCrl",), tls.ca_crl),
        (("privateKey",), tls.private_key),
    ]
    if isinstance(tls, ClientTLSSettings):
        found.append((("clientCertificate",), tls.client_certificate))
    else:
        found.append((("serverCertificate",), tls.server_certificate))
        for index, pair in enumerate(tls.tls_certificates):
            found.append((("tlsCertificates", index, "serverCertificate"), pair.server_certificate))
            found.append((("tlsCertificates", index, "privateKey"), pair.private_key))
    for field, file in found:
        if file and (field[0] != "caCertificates" or file != SYSTEM):
            yield field, file


def named(item: Object[Any]) -> Iterator[NamedPath]:
    """All that an object names of the agent's file system."""
    for path, tls in tls_settings(item):
        for field, file in named_files(tls):
            yield NamedPath((*path, *field), file, False)
    spec = item.spec
    endpoints: list[tuple[Path, WorkloadEntrySpec]] = []
    if isinstance(spec, ServiceEntrySpec):
        endpoints = [(("spec", "endpoints", index), endpoint) for index, endpoint in enumerate(spec.endpoints)]
    elif isinstance(spec, WorkloadEntrySpec):
        endpoints = [(("spec",), spec)]
    for path, endpoint in endpoints:
        if (endpoint.address or "").startswith(UNIX):
            yield NamedPath((*path, "address"), (endpoint.address or "").removeprefix(UNIX), True)


def beneath(place: str, folder: str) -> str | None:
    """The rest of an absolute path below a folder, None where it does not lie there by its spelling. `..` is never
    followed: what it means depends on links."""
    parts = [part for part in place.split("/") if part not in ("", ".")]
    above = [part for part in folder.split("/") if part not in ("", ".")]
    if not place.startswith("/") or "\0" in place or ".." in parts or len(parts) <= len(above):
        return None
    return "/".join(parts[len(above) :]) if parts[: len(above)] == above else None


def objections(item: Object[Any], given: Reach) -> tuple[Problem, ...]:
    """What an object names and may not, each as a finding with its place; the object is not accepted then."""
    reach = reach_of(item.origin, given)
    if reach.folders is None or (isinstance(item.spec, GatewaySpec) and not reach.gateway):
        return ()
    folders = reach.folders
    return tuple(
        refusal(item, found, folders)
        for found in named(item)
        if not any(beneath(found.place, folder) for folder in folders)
    )


def admitted(item: Object[Any], before: Object[Any] | None, given: Reach) -> Object[Any] | None:
    """What is in force in the place of an object that names what it may not: the one before it, where that does not.
    Else what secures traffic goes on to, with files that cannot be read, so that nothing is sent in plain text."""
    if before is not None and not objections(before, given):
        return before
    if item.kind not in SECURING:
        return None
    spec = item.spec
    for found in named(item):
        if not any(beneath(found.place, folder) for folder in given.folders or ()):
            spec = replaced(spec, found.field[1:], WITHHELD + found.place)
    return msgspec.structs.replace(item, spec=spec)


def replaced(value: Any, path: Path, new: str) -> Any:
    """A frozen struct or tuple with another text at this place."""
    if not path:
        return new
    head, rest = path[0], path[1:]
    if isinstance(head, int):
        return (*value[:head], replaced(value[head], rest, new), *value[head + 1 :])
    name = next(field.name for field in msgspec.structs.fields(value) if field.encode_name == head)
    return msgspec.structs.replace(value, **{name: replaced(getattr(value, name), rest, new)})


def refusal(item: Object[Any], found: NamedPath, folders: tuple[str, ...]) -> Problem:
    what = "a unix socket" if found.is_socket else "a file"
    right = f"only those below {', '.join(folders)} are" if folders else "none is"
    mend = "an address" if found.is_socket else "credentialName, a Secret,"
    return Problem(
        code="out-of-reach",
        message=f"`{found.place}` is {what} of the agent and not this namespace's to name ({right}): use {mend} "
        "or have the operator list its folder in MeshConfig's allowedFolders",
        refused=True,
        location=item.locate(*found.field),
        kind=item.kind,
        namespace=item.meta.namespace,
        name=item.meta.name,
        path=path_text(found.field),
    )
