"""Of the official client an agent loads the half that it uses."""

import subprocess
import sys

LOADED = """
import sys
import nodemesh.registry.sources.kubernetes
print(*sorted({"requests", "oauthlib", "kubernetes.client", "kubernetes.config"} & sys.modules.keys()))
from kubernetes.client import models
print(models.V1Pod.__name__)
"""


def test_the_blocking_half_is_loaded_by_those_alone_who_ask_for_it():
    done = subprocess.run([sys.executable, "-c", LOADED], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines() == ["", "V1Pod"]
