"""Which cluster to follow, and where in it this is. The supervisor asks this much, and loads nothing of what following
one takes."""

from __future__ import annotations

import os
from pathlib import Path

from .options import StartError

#: Where the agents are (manifests/agent/namespace.yaml), and where a pod finds out where it is.
NAMESPACE = "nodemesh-system"
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def kubeconfig_of(named: str, environment: dict[str, str]) -> str:
    """The kubeconfig to read, empty for the pod's own service account. Raises StartError."""
    if named:
        found = named
    elif "KUBERNETES_SERVICE_HOST" in environment:
        return ""
    else:
        found = environment.get("KUBECONFIG", "").partition(os.pathsep)[0] or str(Path.home() / ".kube" / "config")
    if not Path(found).is_file():
        raise StartError(f"there is no kubeconfig at {found}; name one with --kubeconfig")
    return found


def own_namespace() -> str:
    """The namespace of the pod that this is, or where the agents usually are."""
    try:
        return NAMESPACE_FILE.read_text().strip()
    except OSError:
        return NAMESPACE
