"""The published examples do what the texts around them say: each case of seeds.yaml quotes one statement and asks
`explain` for it, in the mesh of mesh.yaml with the example's files."""

from functools import cache
from operator import attrgetter
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.asking import answer, asked, decide, views_of_text

HERE = Path(__file__).parent
SEEDS = HERE.parent / "seeds"
CASES = yaml.safe_load((HERE / "seeds.yaml").read_text())


@cache
def views_of(files):
    return views_of_text((HERE / "mesh.yaml").read_text(), *((SEEDS / f"{name}.yaml").read_text() for name in files))


def told(found):
    """The explanation's JSON, with the rule by its path, destinations as `weight cluster`, and who stands behind."""
    plain = msgspec.json.decode(msgspec.json.encode(found))
    plain["rule"] = plain["rule"] and plain["rule"]["path"]
    plain["to"] = [f"{entry['weight']} {entry['cluster']}" for entry in plain["destinations"]]
    plain["workloads"] = sorted(end["workload"] for entry in plain["destinations"] for end in entry["endpoints"])
    plain["mirrors"] = [f"{mirror['percentage']:g} {mirror['cluster']}" for mirror in plain["mirrors"]]
    return plain


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['files'][-1]}: {case['ask']}")
def test_the_text_is_right(case):
    views = views_of(tuple(case["files"]))
    found = told(answer(views, case["ask"]))
    expected = dict(case["expect"])
    policy = expected.pop("policy", {})
    assert {key: found[key] for key in expected} == expected, case["text"]
    if policy:
        cluster = decide(views, asked(case["ask"])).destinations[0].cluster
        assert {path: attrgetter(path)(cluster) for path in policy} == policy, case["text"]


def test_every_example_is_asked_about():
    asked_about = {name for case in CASES for name in case["files"]}
    assert asked_about == {path.stem for path in SEEDS.glob("*.yaml")}
