"""What a kubeconfig from a Secret may hold."""

import contextlib

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodemesh.registry.sources.kubeconfig import MAX_KUBECONFIG, KubeconfigError, read_kubeconfig


def text(user=None, cluster=None):
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "west",
            "contexts": [{"name": "west", "context": {"cluster": "west", "user": "west"}}],
            "clusters": [{"name": "west", "cluster": {"server": "https://192.0.2.1:6443", **(cluster or {})}}],
            "users": [{"name": "west", "user": user if user is not None else {"token": "secretly"}}],
        }
    ).encode()


def test_tokens_and_certificates_that_stand_in_it_are_good():
    data = {"certificate-authority-data": "Y2E="}
    assert read_kubeconfig(text(cluster=data))["current-context"] == "west"
    read_kubeconfig(text({"client-certificate-data": "YQ==", "client-key-data": "Yg==", "username": "u"}, data))


@pytest.mark.parametrize(
    ("user", "cluster", "field"),
    [
        ({"exec": {"command": "aws"}}, {}, "exec"),
        ({"auth-provider": {"name": "gcp"}}, {}, "auth-provider"),
        ({"tokenFile": "/etc/shadow"}, {}, "tokenFile"),
        ({"client-certificate": "/a"}, {}, "client-certificate"),
        ({"client-key": "/a"}, {}, "client-key"),
        ({}, {"certificate-authority": "/a"}, "certificate-authority"),
        ({}, {"insecure-skip-tls-verify": True}, "insecure-skip-tls-verify"),
    ],
)
def test_what_runs_or_reads_something_of_the_agent_s_is_refused(user, cluster, field):
    with pytest.raises(KubeconfigError, match=f"{field} is not accepted from a Secret: .*") as told:
        read_kubeconfig(text({"token": "secretly", **user}, cluster))
    assert "secretly" not in str(told.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"{users: 1, clusters: []}",
        b"a: &a [1]\nb: *a",
        b"!!python/name:os.system ''",
        b"[" * 9999,
    ],
)
def test_what_is_no_kubeconfig_is_told(data):
    with pytest.raises(KubeconfigError, match="is not the YAML of one"):
        read_kubeconfig(data)


def test_it_has_a_bound():
    with pytest.raises(KubeconfigError, match="more than"):
        read_kubeconfig(b" " * (MAX_KUBECONFIG + 1))


@given(st.one_of(st.binary(max_size=200), st.text("[]{}:-,&*!|>'\"\n austerclx", max_size=200).map(str.encode)))
def test_whatever_it_is_only_one_error_comes_of_it(data):
    with contextlib.suppress(KubeconfigError):
        read_kubeconfig(data)
