"""The asyncio half of the official client, without its other half.

The package `kubernetes` loads the blocking client with requests and oauthlib before its part `aio` can be had: 7 MB in
every agent, and a tenth of a second of its start, for nothing. So its own first file is passed over; the parts of it
that anybody imports by name are found as always."""

from __future__ import annotations

import sys
from importlib.util import find_spec, module_from_spec

NAME = "kubernetes"

if NAME not in sys.modules:
    _spec = find_spec(NAME)
    if _spec is not None:
        sys.modules[NAME] = module_from_spec(_spec)

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
