"""Where rules name certificates, by file, Secret or ConfigMap, and which of them this node's workloads use.

Only these are read. Secrets are looked for in the namespace of the workload, as in Istio. Of the cluster they are asked
for gateways, and for pods where the DestinationRule selects them by a workloadSelector: without one, every pod that
sees the rule would need its namespace's Secret, and its node the right to read it. A ConfigMap, whose authority is no
secret and which stands in the rule's namespace, is asked for whoever uses it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from ..config.credential import credential_key, kind_of, place_of
from ..config.destinationrule import ClientTLSSettings, DestinationRuleSpec
from ..config.gateway import GatewaySpec, ServerTLSMode, ServerTLSSettings
from ..config.meta import Location, Object, Path
from ..config.problems import path_text
from ..config.reach import EVERYWHERE, Reach, named_files, reach_of, tls_settings
from ..proxy.tls.materials import AUTHORITY_SUFFIX
from ..registry.assemble import ObjectKey, key_of
from ..registry.services import resolve_export_to, selects
from ..registry.snapshot import Service, Snapshot
from ..routing.client import Client
from ..routing.clusters import tls_of
from ..routing.decision import UpstreamTls
from ..routing.names import is_visible

NOT_SELECTED = "a pod's credential is read from the cluster only where the DestinationRule has a workloadSelector"

_NO_SERVICE = Service(host="", name="", namespace="")


class Use(NamedTuple):
    """TLS settings as some workload of this node uses them. `secrets` must be there, `beside` may be; both are
    `credential_key`s. `withheld` is why the cluster is not asked for them."""

    holder: ObjectKey
    location: Location
    path: str
    tls: UpstreamTls | ServerTLSSettings
    namespace: str
    paths: tuple[str, ...]
    folders: tuple[str, ...] | None = None  # where these may lie; None: anywhere
    secrets: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    withheld: str = ""


class _Naming(NamedTuple):
    """The TLS settings at one place of a rule."""

    item: Object[Any]
    path: Path
    tls: ClientTLSSettings | ServerTLSSettings


class Credentials:
    """Finds the uses; again only when rules or clients have changed, for a cluster's endpoints change all the time."""

    def __init__(self) -> None:
        self._read: tuple[object, ...] = ()  # what the uses were found in
        self._clients: list[Client] = []
        self._uses: tuple[Use, ...] = ()

    def uses(self, snapshot: Snapshot, clients: Iterable[Client], given: Reach = EVERYWHERE) -> tuple[Use, ...]:
        """`given` is what objects of the API server may name."""
        read, clients = (snapshot.destination_rules, snapshot.gateways, snapshot.mesh), list(clients)
        same = len(self._read) == len(read) and all(a is b for a, b in zip(self._read, read, strict=True))
        if not same or clients != self._clients:
            self._read, self._clients = read, clients
            self._uses = tuple(dict.fromkeys(find(snapshot, clients, given)))
        return self._uses


def find(snapshot: Snapshot, clients: list[Client], given: Reach) -> Iterator[Use]:
    gateways = [client for client in one_each(clients) if client.gateway]
    for gateway in snapshot.gateways.values():
        for naming in named_by_gateway(gateway):
            for client in gateways:
                if selects(gateway.spec.selector, client.labels):
                    yield server_use(naming, client, given)
    for rule in snapshot.destination_rules.values():
        for naming in named_by_rule(rule):
            yield from client_uses(naming, clients, snapshot, given)


def named_by_rule(item: Object[DestinationRuleSpec]) -> Iterator[_Naming]:
    for place, tls in tls_settings(item):
        if tls.credential_name or any(named_files(tls)):
            yield _Naming(item, place, tls)


def named_by_gateway(item: Object[GatewaySpec]) -> Iterator[_Naming]:
    for place, tls in tls_settings(item):
        yield _Naming(item, place, tls)


def one_each(clients: Iterable[Client]) -> list[Client]:
    """Clients that differ neither in namespace nor in labels nor in being a gateway are one."""
    found = {(client.namespace, client.gateway, tuple(sorted(client.labels.items()))): client for client in clients}
    return list(found.values())


def server_use(naming: _Naming, client: Client, given: Reach) -> Use:
    tls = naming.tls
    assert isinstance(tls, ServerTLSSettings)
    names = tls.credential_names or ((tls.credential_name,) if tls.credential_name else ())
    mutual = tls.mode is not ServerTLSMode.SIMPLE
    authority = (tls.ca_cert_credential_name,) if mutual and tls.ca_cert_credential_name else ()
    secrets = tuple(credential_key(name, client.namespace) for name in (*names, *authority))
    beside = (secrets[0] + AUTHORITY_SUFFIX,) if names and mutual and not authority else ()
    named = "credentialNames" if tls.credential_names else "credentialName" if names else "caCertCredentialName"
    return use_of(naming, given, named, tls, client, secrets, beside)


def client_uses(naming: _Naming, clients: list[Client], snapshot: Snapshot, given: Reach) -> Iterator[Use]:
    meta, spec, tls = naming.item.meta, naming.item.spec, naming.tls
    assert isinstance(tls, ClientTLSSettings)
    selector = spec.workload_selector.labels if spec.workload_selector is not None else {}
    visible = resolve_export_to(spec.export_to, meta.namespace, snapshot.mesh.default_destination_rule_export_to)
    chosen = [client for client in clients if selects(selector, client.labels)]
    for client in {(client.namespace, client.gateway): client for client in chosen}.values():
        if selector and client.namespace != meta.namespace or not is_visible(visible, client.namespace):
            continue
        made = tls_of(tls, _NO_SERVICE, client)
        if made is None:
            continue
        secrets = (made.credential,) if made.credential else ()
        beside = tuple(key + AUTHORITY_SUFFIX for key in secrets if kind_of(key) == "Secret")
        yield use_of(naming, given, "credentialName", made, client, secrets, beside)


def use_of(
    naming: _Naming,
    given: Reach,
    field: str,
    tls: UpstreamTls | ServerTLSSettings,
    client: Client,
    secrets: tuple[str, ...],
    beside: tuple[str, ...],
) -> Use:
    path = (*naming.path, field) if secrets else naming.path
    return Use(
        holder=key_of(naming.item),
        location=naming.item.locate(*path),
        path=path_text(path),
        tls=tls,
        namespace=client.namespace,
        paths=tuple(file for _, file in named_files(naming.tls)),
        folders=reach_of(naming.item.origin, given).folders,
        secrets=secrets,
        beside=beside,
        withheld=why_withheld(naming, client, secrets) if secrets else "",
    )


def why_withheld(naming: _Naming, client: Client, secrets: tuple[str, ...]) -> str:
    secrets = tuple(key for key in secrets if kind_of(key) == "Secret")
    if secrets and isinstance(naming.tls, ClientTLSSettings):
        selected = naming.item.spec.workload_selector
        if not client.gateway and not (selected is not None and selected.labels):
            return NOT_SELECTED
    if any(place_of(key)[0] != client.namespace for key in secrets):
        return f"Secrets are read from the namespace of the workload, {client.namespace}"
    return ""
