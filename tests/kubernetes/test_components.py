"""Each choice is a kustomize component: by itself and together with all others, kubectl applies it, and it does what it
says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from tests.apiserver.running import kubeconfig, running
from tests.kubernetes.test_manifests import APPLY, MANIFESTS, api_server, kubectl

from nodemesh import __version__
from nodemesh.config.load import load_text

COMPONENTS = sorted(path.name for path in (MANIFESTS / "components").iterdir())

EVERYTHING = ["meshconfig", *(name for name in COMPONENTS if name != "meshconfig")]

#: What changes a MeshConfig, which has to be there.
CHANGE = {"enrolment-all", "status"}


def kustomization(folder: Path, *components: str) -> Path:
    """A user's own, beside the manifests."""
    folder.mkdir()
    base = os.path.relpath(MANIFESTS, folder)
    content = {"resources": [base], "components": [f"{base}/components/{name}" for name in components]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(content))
    return folder


def with_needs(name: str) -> list[str]:
    return ["meshconfig", name] if name in CHANGE else [name]


def built(folder: Path) -> list[dict]:
    return list(yaml.safe_load_all(kubectl(folder, "kustomize", str(folder))))


@pytest.fixture
def config(tmp_path):
    """A cluster that has the kinds, which come before their objects."""
    with running(api_server()) as server:
        config = kubeconfig(tmp_path / "kubeconfig", server.url)
        kubectl(config, *APPLY, "-f", str(MANIFESTS / "crds" / "meshconfigs.yaml"))
        yield config


@pytest.mark.parametrize("chosen", [*map(with_needs, COMPONENTS), EVERYTHING], ids="+".join)
def test_kubectl_applies_each_and_all(config, tmp_path, chosen):
    folder = kustomization(tmp_path / "mine", *chosen)
    assert len(kubectl(config, *APPLY, "-k", str(folder)).splitlines()) == len(built(folder))


def mesh(folder: Path):
    """MeshConfig's spec, as the agents read it."""
    (found,) = [
        one for one in load_text(yaml.safe_dump_all(built(folder)), "built").objects if one.kind == "MeshConfig"
    ]
    return found.spec


def test_what_they_change_is_in_the_mesh_config(tmp_path):
    assert mesh(kustomization(tmp_path / "none", "meshconfig")).enrolment is None
    both = mesh(kustomization(tmp_path / "both", "meshconfig", "enrolment-all", "status"))
    assert (both.enrolment, both.enable_status) == ("all", True)


def test_a_mesh_config_of_ones_own_is_changed_as_well(tmp_path):
    folder = kustomization(tmp_path / "mine", "enrolment-all")
    own = {
        "apiVersion": "nodemesh.io/v1alpha1",
        "kind": "MeshConfig",
        "metadata": {"name": "ours"},
        "spec": {"l7": "never"},
    }
    (folder / "own.yaml").write_text(yaml.safe_dump(own))
    content = yaml.safe_load((folder / "kustomization.yaml").read_text())
    (folder / "kustomization.yaml").write_text(
        yaml.safe_dump({**content, "resources": ["own.yaml", *content["resources"]]})
    )
    found = mesh(folder)
    assert (found.enrolment, found.l7) == ("all", "never")


def test_every_component_adds_something_to_the_agents_alone(tmp_path):
    alone = built(kustomization(tmp_path / "alone"))
    for name in COMPONENTS:
        base = alone if name not in CHANGE else built(kustomization(tmp_path / f"before-{name}", "meshconfig"))
        assert [item for item in built(kustomization(tmp_path / name, *with_needs(name))) if item not in base], name


def test_what_is_deployed_is_this_version(tmp_path):
    objects = [*built(kustomization(tmp_path / "mine", "gateway")), *built(MANIFESTS / "overlays" / "relay")]
    workloads = [item for item in objects if item["kind"] in ("DaemonSet", "Deployment")]
    assert len(workloads) == 3
    for item in workloads:
        (container,) = item["spec"]["template"]["spec"]["containers"]
        images = [container["image"], *(one.partition("=")[2] for one in container["args"] if "gateway-image" in one)]
        assert {image.rpartition(":")[2] for image in images} == {__version__}


def test_the_readme_names_them_all():
    said = (MANIFESTS / "README.md").read_text()
    assert [name for name in COMPONENTS if f"`{name}`" not in said] == []
