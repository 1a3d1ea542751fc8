"""Two small upstreams and the folder of a mesh's configuration."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.cli.mesh import Upstream


@pytest.fixture
def v1() -> Iterator[Upstream]:
    upstream = Upstream("v1")
    yield upstream
    upstream.close()


@pytest.fixture
def v2() -> Iterator[Upstream]:
    upstream = Upstream("v2")
    yield upstream
    upstream.close()


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path / "config"
