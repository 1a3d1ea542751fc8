"""What a managed Gateway's workload may read of the cluster: the certificates and authorities that its listeners, its
client certificate and its backends' policies name, each by its name, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ..config.credential import kind_of, place_of
from ..config.gatewayapi import GROUP
from ..config.gatewayapi.gateways import KubernetesGatewaySpec
from ..config.meta import Object
from ..registry.snapshot import Snapshot
from ..routing.gatewayapi.attach import AttachResult
from ..routing.gatewayapi.backend_tls import client_pair, gateways_by_host

Manifest = dict[str, Any]

RBAC = "rbac.authorization.k8s.io"
RESOURCES = {"Secret": "secrets", "ConfigMap": "configmaps"}


class Rights:
    """Of all Gateways of one snapshot."""

    def __init__(self, snapshot: Snapshot, attached: AttachResult) -> None:
        self._snapshot = snapshot
        self._attached = attached
        self._reached: dict[
            str, list[str]
        ] = {}  # hosts that are spoken to in TLS, by the Gateway that has routes there
        if attached.backend_tls:
            for host, gateways in gateways_by_host(attached.listeners, attached.routes).items():
                for gateway in gateways if host in attached.backend_tls else ():
                    self._reached.setdefault(gateway, []).append(host)

    def objects(self, item: Object[KubernetesGatewaySpec], meta: Manifest) -> Iterator[tuple[str, Manifest]]:
        """A Role with its binding in each namespace where something is named, each with the path of its collection.
        `meta` is what the Gateway's objects carry. The own namespace has them in any case."""
        account = {"kind": "ServiceAccount", "name": meta["name"], "namespace": item.meta.namespace}
        named: dict[str, dict[str, set[str]]] = {item.meta.namespace: {}}
        for key in self._credentials(item):
            namespace, name = place_of(key)
            named.setdefault(namespace, {}).setdefault(RESOURCES[kind_of(key)], set()).add(name)
        for namespace, names in named.items():
            place = meta if namespace == item.meta.namespace else self._abroad(item, meta, namespace)
            if place["ownerReferences"]:  # without an owner it would outlive what it was written for
                yield from role_and_binding(place, names, account)

    def _credentials(self, item: Object[KubernetesGatewaySpec]) -> Iterator[str]:
        """The `credential_key`s; what is not granted is not among them."""
        attached, key = self._attached, item.meta.key
        for spot in attached.spots[key]:
            if spot.tls is not None:
                yield from spot.tls.credential_names
                if spot.tls.ca_cert_credential_name:
                    yield spot.tls.ca_cert_credential_name
        pair = client_pair(item, attached.grants)
        if pair:
            yield pair
        for host in self._reached.get(key, ()):
            yield from (policy.tls.credential for policy in attached.backend_tls[host] if policy.tls.credential)

    def _abroad(self, item: Object[KubernetesGatewaySpec], meta: Manifest, namespace: str) -> Manifest:
        """In another namespace a Role goes with those who granted it: they are its owners, and nobody else: what has
        nothing to do with it is not to keep it. They are the ReferenceGrants for the namespaces of the Gateway and of
        its ListenerSets, and the ListenerSets and policies there, which are their own authors' word. An owner of
        another namespace is none to the cluster."""
        snapshot = self._snapshot
        places = {spot.item.meta.key: spot.item for spot in self._attached.spots[item.meta.key]}
        origins = {item.meta.namespace, *(one.meta.namespace for one in places.values())}
        granted: list[Object[Any]] = [
            grant
            for grant in snapshot.reference_grants.values()
            if grant.meta.namespace == namespace and any(origin.namespace in origins for origin in grant.spec.from_)
        ]
        sets = [one for one in places.values() if one.meta.namespace == namespace]
        named = {
            f"{policy.owner.namespace}/{policy.owner.name}"
            for host in self._reached.get(item.meta.key, ())
            for policy in self._attached.backend_tls[host]
            if policy.tls.credential and place_of(policy.tls.credential)[0] == namespace
        }
        policies = [snapshot.backend_tls_policies[key] for key in sorted(named) if key in snapshot.backend_tls_policies]
        return {
            "name": f"{item.meta.namespace}.{meta['name']}",  # namespaces have no dots
            "namespace": namespace,
            "labels": {"app.kubernetes.io/part-of": "nodemesh"},
            "ownerReferences": [owner_reference(one) for one in (*granted, *sets, *policies)],
        }


def role_and_binding(meta: Manifest, names: dict[str, set[str]], account: Manifest) -> Iterable[tuple[str, Manifest]]:
    base = f"/apis/{RBAC}/v1/namespaces/{meta['namespace']}"
    rules = [
        {"apiGroups": [""], "resources": [resource], "resourceNames": sorted(found), "verbs": ["list", "watch"]}
        for resource, found in sorted(names.items())
    ]
    role = {"apiVersion": f"{RBAC}/v1", "kind": "Role", "metadata": meta, "rules": rules}
    binding = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": meta,
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": meta["name"]},
        "subjects": [account],
    }
    return (f"{base}/roles", role), (f"{base}/rolebindings", binding)


def owner_reference(item: Object[Any]) -> Manifest:
    return {"apiVersion": f"{GROUP}/v1", "kind": item.kind, "name": item.meta.name, "uid": item.meta.uid}


def is_abroad(manifest: Manifest) -> bool:
    """Whether it is a Role that stays when the Gateway goes."""
    owners = manifest["metadata"].get("ownerReferences", ())
    return manifest["kind"] == "Role" and all(owner["kind"] != "Gateway" for owner in owners)
