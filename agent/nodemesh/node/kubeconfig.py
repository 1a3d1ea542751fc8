"""Which cluster to follow. The supervisor asks this much, and loads nothing of what following one takes."""

from __future__ import annotations

import os
from pathlib import Path

from .options import RunOptions, StartError


def kubeconfig_of(options: RunOptions, environment: dict[str, str]) -> str:
    """The kubeconfig to read, empty for the pod's own service account. Raises StartError."""
    if options.kubeconfig:
        found = options.kubeconfig
    elif "KUBERNETES_SERVICE_HOST" in environment:
        return ""
    else:
        found = environment.get("KUBECONFIG", "").partition(os.pathsep)[0] or str(Path.home() / ".kube" / "config")
    if not Path(found).is_file():
        raise StartError(f"there is no kubeconfig at {found}; name one with --kubeconfig")
    return found
