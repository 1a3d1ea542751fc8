"""The pytest plugin (`pytest-nodemesh`): a `mesh` for tests of routing rules, without root, cluster or network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .mesh import Mesh

CONFIG = "nodemesh_config"
SEED = "nodemesh_seed"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(CONFIG, "Files and folders of YAML that the `mesh` fixture is made of.", type="args", default=[])
    parser.addini(SEED, "The seed of the simulator's random numbers.", default="1")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "nodemesh(*config, seed=1): the YAML that this test's `mesh` is made of.")


@pytest.fixture
def make_mesh(pytestconfig: pytest.Config) -> Callable[..., Mesh]:
    """Makes a mesh of files, folders or YAML; paths are seen from the folder of pytest's configuration file."""
    from .mesh import Mesh

    def make(*config: str | Path, seed: int | None = None) -> Mesh:
        return Mesh(
            *(placed(each, pytestconfig.rootpath) for each in config), seed=seed or int(pytestconfig.getini(SEED))
        )

    return make


@pytest.fixture
def mesh(request: pytest.FixtureRequest, make_mesh: Callable[..., Mesh], pytestconfig: pytest.Config) -> Mesh:
    """A fresh mesh of the YAML that the mark `nodemesh` names, else of `nodemesh_config`."""
    mark = request.node.get_closest_marker("nodemesh")
    config: tuple[Any, ...] = mark.args if mark is not None else ()
    options = mark.kwargs if mark is not None else {}
    found = config or tuple(pytestconfig.getini(CONFIG))
    if not found:
        pytest.fail(
            f"the `mesh` fixture needs YAML: set `{CONFIG} = PATH` in pytest's configuration, "
            "or mark the test with @pytest.mark.nodemesh('PATH')",
            pytrace=False,
        )
    return make_mesh(*found, **options)


def placed(config: str | Path, root: Path) -> str | Path:
    """A path as seen from `root`; YAML as it is."""
    return config if isinstance(config, str) and "\n" in config else root / config
