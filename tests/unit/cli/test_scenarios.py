"""The demo's data: every scenario's YAML is there, valid, and every folder is used."""

import pytest

from nodemesh.cli.scenarios import SCENARIOS, Intervention
from nodemesh.cli.stage import VERSIONS, bookinfo_manifests
from nodemesh.config.load import load_text

FOLDER = bookinfo_manifests()


def used():
    rows = [row for scenario in SCENARIOS for row in scenario.rows]
    return {scenario.yaml for scenario in SCENARIOS} | {row.yaml for row in rows if row.deed is Intervention.APPLY}


def test_scenarios_and_folders_match():
    assert used() == {path.name for path in (FOLDER / "scenarios").iterdir()}


@pytest.mark.parametrize("file", sorted(FOLDER.rglob("*.yaml")), ids=lambda file: str(file.relative_to(FOLDER)))
def test_the_yaml_is_valid_and_names_what_exists(file):
    loaded = load_text(file.read_text(), str(file))
    assert loaded.problems == () and loaded.objects
    for one in loaded.objects:
        assert one.meta.namespace == ("" if one.kind == "Namespace" else "bookinfo")
        if one.kind == "VirtualService":
            assert set(one.spec.hosts) <= set(VERSIONS)
        if one.kind == "DestinationRule":
            assert tuple(subset.name for subset in one.spec.subsets) == VERSIONS[one.spec.host]


def test_the_readme_tells_every_file():
    readme = (FOLDER / "README.md").read_text()
    assert all(f"`{path.relative_to(FOLDER)}" in readme for path in FOLDER.glob("*.yaml"))
    assert all(f"`scenarios/{name}/`" in readme for name in used())
