"""Of the official client an agent loads the half that it uses."""

import subprocess
import sys

LOADED = """
import sys
import nodemesh.registry.sources.kubernetes
unwanted = {"requests", "oauthlib", "urllib3", "kubernetes.client", "kubernetes.config", "kubernetes.aio.dynamic"}
print(*sorted(unwanted & sys.modules.keys()))
from kubernetes.client import models
import kubernetes.aio.client.models
import kubernetes.aio.dynamic
print(models.V1Pod.__name__, kubernetes.aio.client.models.V1Pod.__name__, kubernetes.aio.dynamic.DynamicClient.__name__)
"""


def test_the_rest_is_loaded_by_those_alone_who_ask_for_it():
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["", "V1Pod V1Pod DynamicClient"]
