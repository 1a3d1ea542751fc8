"""What a kubeconfig may hold that comes in a Secret: who may write Secrets must not thereby run programs as the agent,
or read its files.

The list is Istio's (its remote secrets, PILOT_INSECURE_MULTICLUSTER_KUBECONFIG_OPTIONS left empty): tokens, passwords
and certificates that stand in the kubeconfig itself. A kubeconfig file that the agent's command line names is not held
to it."""

from __future__ import annotations

from typing import Any

import msgspec

from ...config import yaml

#: The largest kubeconfig that is read; a Secret holds no more than 1 MiB.
MAX_KUBECONFIG = 2**20

#: Fields of a user or cluster that make the agent run or read something of its own, each with what would be right.
REFUSED_OF_USER = {
    "exec": "it runs a program; use a token of a service account",
    "auth-provider": "it runs a program or asks a third party; use a token of a service account",
    "tokenFile": "it reads a file of the agent's; use token",
    "client-certificate": "it reads a file of the agent's; use client-certificate-data",
    "client-key": "it reads a file of the agent's; use client-key-data",
}
REFUSED_OF_CLUSTER = {
    "certificate-authority": "it reads a file of the agent's; use certificate-authority-data",
    "insecure-skip-tls-verify": "anybody could answer for that cluster; use certificate-authority-data",
}


class KubeconfigError(Exception):
    """The kubeconfig is not used; the message is one sentence with its mend, and holds nothing secret."""


def read_kubeconfig(data: bytes) -> dict[str, Any]:
    """The plain data of a kubeconfig that is safe to use. Raises KubeconfigError."""
    if len(data) > MAX_KUBECONFIG:
        raise KubeconfigError(f"the kubeconfig has more than {MAX_KUBECONFIG} bytes")
    documents = list(yaml.read(data, "kubeconfig"))
    try:
        (document,) = (item for item in documents if isinstance(item, yaml.Document) and not item.flaws)
        plain = msgspec.convert(document.root.value, dict[str, Any])
        users, clusters = of_list(plain, "users", "user"), of_list(plain, "clusters", "cluster")
    except (ValueError, msgspec.ValidationError):
        right = "as `istioctl create-remote-secret` writes it"
        raise KubeconfigError(f"the kubeconfig is not the YAML of one; right is {right}") from None
    for entries, refused in ((users, REFUSED_OF_USER), (clusters, REFUSED_OF_CLUSTER)):
        for entry in entries:
            for field, why in refused.items():
                if entry.get(field):
                    raise KubeconfigError(f"the kubeconfig's {field} is not accepted from a Secret: {why}")
    return plain


def check_form(data: bytes, path: str) -> None:
    """Whether a file is YAML with the fields of an object, before anything is looked for in it: it may be in the middle
    of being written. Raises KubeconfigError."""
    documents = []
    for item in yaml.read(data, path):
        if isinstance(item, yaml.Flaw):
            raise KubeconfigError(f"{item.location}: {item.message}")
        documents.append(item.root.value)
    if len(documents) != 1 or not isinstance(documents[0], dict):
        raise KubeconfigError("it does not hold one object with current-context, contexts, clusters and users")


def of_list(plain: dict[str, Any], name: str, field: str) -> list[dict[str, Any]]:
    """The named entries' contents. Raises msgspec.ValidationError."""
    entries = msgspec.convert(plain.get(name), list[dict[str, Any]])
    return [msgspec.convert(entry.get(field) or {}, dict[str, Any]) for entry in entries]
