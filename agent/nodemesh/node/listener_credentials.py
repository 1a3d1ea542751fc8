"""The certificates that the Gateway API's listeners name, as far as workloads of this node serve them.

Whose word it is has been judged before: a listener's settings have only Secrets of its own namespace, and those that a
ReferenceGrant allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..config.credential import credential_key
from ..config.gatewayapi import GROUP
from ..config.problems import path_text
from ..config.reach import TERMINATING
from ..registry.assemble import ObjectKey
from ..routing.client import Client
from ..routing.gatewayapi.backend_tls import gateways_by_host, with_pair
from ..routing.gatewayapi.rules import BackendTls, ServedListener
from ..routing.gatewayapi.serve import serves
from ..routing.tables import Tables
from .credentials import Use


def listener_uses(tables: Tables, clients: Iterable[Client]) -> Iterator[Use]:
    gateways = [client for client in clients if client.gateway]
    for listener in tables.listeners.values():
        tls = listener.tls
        if tls is None or tls.mode not in TERMINATING or not tls.credential_names:
            continue
        if any(serves(listener, client) for client in gateways):
            yield use_of(listener)


def backend_uses(tables: Tables, clients: Iterable[Client]) -> Iterator[Use]:
    """The authorities that BackendTLSPolicies name, and the certificates that their backends are shown, where the
    Gateways that are served here have routes to them."""
    if not tables.backend_tls:
        return
    gateways = [client for client in clients if client.gateway]
    served = {
        key: entry for key, entry in tables.listeners.items() if any(serves(entry, client) for client in gateways)
    }
    pairs = {entry.gateway: entry.client_pair for entry in served.values()}
    for host, reached_by in gateways_by_host(served, tables.routes).items():
        for policy in tables.backend_tls.get(host, ()):
            for gateway in sorted(reached_by):
                yield use_of_policy(policy, pairs[gateway])


def use_of_policy(policy: BackendTls, pair: str) -> Use:
    owner = policy.owner
    return Use(
        holder=ObjectKey(owner.kind, owner.namespace, owner.name, GROUP),
        location=owner.location,
        path=path_text(("spec", "validation", "caCertificateRefs")),
        tls=with_pair(policy.tls, pair),
        namespace=owner.namespace,
        paths=(),
        secrets=tuple(key for key in (policy.tls.credential, pair) if key),
    )


def use_of(listener: ServedListener) -> Use:
    tls, owner = listener.tls, listener.owner
    assert tls is not None
    authority = (tls.ca_cert_credential_name,) if tls.ca_cert_credential_name else ()
    names = (*tls.credential_names, *authority)
    return Use(
        holder=ObjectKey(owner.kind, owner.namespace, owner.name, GROUP),
        location=owner.location,
        path=path_text(("spec", "listeners", listener.name, "tls", "certificateRefs")),
        tls=tls,
        namespace=owner.namespace,
        paths=(),
        secrets=tuple(credential_key(name, owner.namespace) for name in names),
    )
