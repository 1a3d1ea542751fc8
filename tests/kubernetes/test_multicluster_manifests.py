"""What several clusters need: the right to read the Secrets that name them, and an account that others may use."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess

import pytest
from tests.apiserver.running import kubeconfig, running
from tests.apiserver.server import ApiServer
from tests.kubernetes.test_manifests import APPLY, MANIFESTS, built, find, kubectl

from nodemesh.cli.main import cli
from nodemesh.registry.sources.kubeconfig import of_list, read_kubeconfig
from nodemesh.registry.sources.resources import remote_resources, remote_secrets

OVERLAY, READER = "overlays/multicluster", "reader"


@pytest.mark.parametrize("folder", [OVERLAY, READER])
def test_kubectl_applies_it_and_again_changes_nothing(folder, tmp_path):
    with running(ApiServer()) as server:
        config = kubeconfig(tmp_path / "kubeconfig", server.url)
        kubectl(config, *APPLY, "-k", str(MANIFESTS / folder))
        revision = server.call(lambda api: api.etcd.revision)
        kubectl(config, *APPLY, "-k", str(MANIFESTS / folder))
        assert server.call(lambda api: api.etcd.revision) == revision


def test_the_overlay_adds_the_agent_one_right_in_one_namespace_and_one_option(tmp_path):
    overlay, agent = built(OVERLAY, tmp_path), built("agent", tmp_path)
    added = [item for item in overlay if item not in agent]
    role, binding, daemonset = (find(added, kind) for kind in ("Role", "RoleBinding", "DaemonSet"))
    assert len(added) == 3
    resource = remote_secrets(role["metadata"]["namespace"])
    rule = {"apiGroups": [resource.group], "resources": [resource.plural], "verbs": ["list", "watch"]}
    assert role["rules"] == [rule]
    assert binding["subjects"] == [
        {"kind": "ServiceAccount", "name": "nodemesh-agent", "namespace": resource.namespace},
    ]
    (container,) = daemonset["spec"]["template"]["spec"]["containers"]
    command, *arguments = container["args"]
    cli.get_command(cli.make_context("nodemesh", [command]), command).make_context(command, arguments)
    assert container["args"][-1] == "--remote-secrets"


def test_the_reader_may_read_what_is_read_of_other_clusters_and_nothing_else(tmp_path):
    rules = find(built(READER, tmp_path), "ClusterRole")["rules"]
    assert {tuple(rule["verbs"]) for rule in rules} == {("list", "watch")}
    read = {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"]}
    assert read == {(resource.group, resource.plural) for resource in remote_resources()}


def test_the_pages_commands_make_a_kubeconfig_of_the_account_alone(tmp_path):
    """Out of an operator's own, whose token is not in it."""
    section = (MANIFESTS / "README.md").read_text().partition("## Several clusters\n")[2].partition("\n## ")[0]
    block = next(part for part in section.split("\n\n") if "west.kubeconfig" in part and "token=" in part)
    with running(ApiServer()) as server:
        config = kubeconfig(tmp_path / "kubeconfig", server.url, {"token": "the operator's"})
        kubectl(config, *APPLY, "-k", str(MANIFESTS / READER))
        secret = find(built(READER, tmp_path), "Secret")
        secret["data"] = {"token": base64.b64encode(b"the reader's").decode()}  # as a cluster fills it in
        (tmp_path / "filled.json").write_text(json.dumps(secret))
        kubectl(config, *APPLY, "-f", str(tmp_path / "filled.json"))
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(config)}
        script = "set -e\n" + re.sub("WEST", "test", block)
        subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True, timeout=60)
        made = read_kubeconfig((tmp_path / "west.kubeconfig").read_bytes())
        assert of_list(made, "users", "user") == [{"token": "the reader's"}]
        assert [cluster["server"] for cluster in of_list(made, "clusters", "cluster")] == [server.url]
        assert kubectl(tmp_path / "west.kubeconfig", "config", "current-context").strip() == made["current-context"]
