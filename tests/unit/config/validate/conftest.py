import pytest

from nodemesh.config.load import load_object


@pytest.fixture
def told():
    """What is found in a spec of a kind: `code path` of every finding."""

    def find(kind, spec, api_version="networking.istio.io/v1", status=None, **meta):
        data = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "a", **meta}, "spec": spec}
        if status is not None:
            data["status"] = status
        return [f"{problem.code} {problem.path}" for problem in load_object(data, "test").problems]

    return find
