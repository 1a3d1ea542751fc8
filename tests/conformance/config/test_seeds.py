"""The published examples that users start from load as they stand."""

from pathlib import Path

import pytest

from nodemesh.config.load import load_text

SEEDS = sorted((Path(__file__).parents[1] / "seeds").glob("*.yaml"))


def test_there_are_seeds():
    assert len(SEEDS) >= 60


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.stem)
def test_seed_loads_without_error(path):
    loaded = load_text(path.read_bytes(), path.name)
    assert not [problem for problem in loaded.problems if problem.refused]
    assert loaded.objects
