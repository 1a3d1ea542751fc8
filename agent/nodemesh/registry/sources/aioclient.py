"""The asyncio half of the official client, without its other half.

The package `kubernetes` loads the blocking client with requests and oauthlib before its part `aio` can be had, and that
a second client and urllib3: 9 MB in every agent, and a tenth of a second of its start, for nothing. So the first files
of both are run when somebody asks for something of theirs; parts that are imported by name are found without."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from typing import Any


def put_off(spec: ModuleSpec) -> None:
    """Have the package there, its first file not run yet."""
    package = module_from_spec(spec)

    def run(name: str) -> Any:
        """A name that the package lacks (PEP 562)."""
        if vars(package).pop("__getattr__", None) is not None and spec.loader is not None:
            spec.loader.exec_module(package)
        try:
            return vars(package)[name]
        except KeyError:
            raise AttributeError(f"module {spec.name!r} has no attribute {name!r}") from None

    vars(package)["__getattr__"] = run
    sys.modules[spec.name] = package
    parent, _, part = spec.name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], part, package)


for _name in ("kubernetes", "kubernetes.aio"):
    _spec = find_spec(_name) if _name not in sys.modules else None
    if _spec is not None:
        put_off(_spec)

from kubernetes.aio.client.api_client import ApiClient  # noqa: E402
from kubernetes.aio.client.configuration import Configuration  # noqa: E402
from kubernetes.aio.config.config_exception import ConfigException  # noqa: E402
from kubernetes.aio.config.incluster_config import (  # noqa: E402
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.aio.config.kube_config import (  # noqa: E402
    KubeConfigLoader,
    load_kube_config,
    load_kube_config_from_dict,
)

__all__ = (
    "SERVICE_CERT_FILENAME",
    "SERVICE_TOKEN_FILENAME",
    "ApiClient",
    "ConfigException",
    "Configuration",
    "InClusterConfigLoader",
    "KubeConfigLoader",
    "load_kube_config",
    "load_kube_config_from_dict",
)
