import pytest

from nodemesh.config.kinds import KINDS, UNSUPPORTED, split_api_version
from nodemesh.config.load import load_object


def test_api_versions():
    assert split_api_version("networking.istio.io/v1") == ("networking.istio.io", "v1")
    assert split_api_version("v1") == ("", "v1")


def test_no_kind_is_read_and_set_aside():
    assert not set(KINDS) & set(UNSUPPORTED)


@pytest.mark.parametrize(("group", "kind"), UNSUPPORTED)
def test_what_is_set_aside_is_told(group, kind):
    loaded = load_object({"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "a"}}, "test")
    assert not loaded.objects
    (problem,) = loaded.problems
    assert (problem.code, problem.severity, problem.refused) == ("unsupported-kind", "warning", False)
    assert UNSUPPORTED[group, kind] in problem.message
