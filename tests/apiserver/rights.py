"""Who may do what: RBAC by the roles and bindings that the server itself holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from .etcd import Data, Etcd

RBAC = "rbac.authorization.k8s.io"
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"


class Access(NamedTuple):
    """One request. `resource` has its subresource behind a slash; `name` is empty where no single object is named."""

    verb: str
    group: str
    resource: str
    namespace: str
    name: str


def access_of(method: str, query: Any, target: Any) -> Access:
    name = target.name
    verb = VERBS.get(method) or ("get" if name else "watch" if query.get("watch") in ("true", "1") else "list")
    if verb in ("list", "watch"):
        # A selector by name counts as the name (Kubernetes' RBAC page, "Referring to resources").
        pairs = [part.partition("=") for part in query.get("fieldSelector", "").split(",")]
        name = next((value.lstrip("=") for field, _, value in pairs if field == "metadata.name"), "")
    resource = f"{target.kind.plural}/{target.part}" if target.part else target.kind.plural
    return Access(verb, target.kind.group, resource, target.namespace, name)


def refusal(etcd: Etcd, account: str, access: Access) -> str:
    """Why the service account `namespace/name` may not; empty where it may."""
    namespace, _, name = account.partition("/")
    if any(covers(rule, access) for rule in rules(etcd, namespace, name, access.namespace)):
        return ""
    where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
    return (
        f'{access.resource} is forbidden: User "system:serviceaccount:{namespace}:{name}" cannot {access.verb} '
        f'resource "{access.resource}" in API group "{access.group}" {where}'
    )


def rules(etcd: Etcd, namespace: str, name: str, where: str) -> Iterator[Data]:
    bindings = [*etcd.all(f"clusterrolebindings.{RBAC}"), *(etcd.all(f"rolebindings.{RBAC}", where) if where else ())]
    for binding in bindings:
        for subject in binding.get("subjects") or ():
            if (subject["kind"], subject.get("namespace"), subject["name"]) != ("ServiceAccount", namespace, name):
                continue
            ref = binding["roleRef"]
            within = binding["metadata"].get("namespace", "") if ref["kind"] == "Role" else ""
            role = etcd.get(f"{ref['kind'].lower()}s.{RBAC}", (within, ref["name"]))
            yield from (role or {}).get("rules") or ()


def covers(rule: Data, access: Access) -> bool:
    names = rule.get("resourceNames")
    return (
        access.verb in rule["verbs"]
        and access.group in rule["apiGroups"]
        and access.resource in rule["resources"]
        and (not names or access.name in names)
    )


def reviewed(accounts: dict[str, str], review: Data) -> Data:
    """A TokenReview's answer, by the accounts `namespace/name` or `namespace/name@node` behind each token."""
    account, _, node = accounts.get(review["spec"]["token"], "").partition("@")
    if not account:
        return {**review, "status": {"authenticated": False, "error": "invalid bearer token"}}
    user: Data = {"username": f"system:serviceaccount:{account.replace('/', ':')}"}
    if node:
        user["extra"] = {"authentication.kubernetes.io/node-name": [node]}
    audiences = review["spec"].get("audiences", ["https://kubernetes.default.svc"])
    return {**review, "status": {"authenticated": True, "user": user, "audiences": audiences}}
