"""The build backend: setuptools, with the live page (`build_page.py`), the programs and the manifests put into the
package; where NODEMESH_COMPILE=1 the hot path's modules become extensions by mypyc.

pyproject.toml names this file. The modules stay plain Python beside their extensions, which come first on import."""

from __future__ import annotations

import os
import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any

from setuptools import build_meta, setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

import build_page

#: What the package needs beside its modules; nodemesh/share.py finds it again.
SHARED = ("bpf", "manifests")

#: What no installed nodemesh reads: how its image is made.
NOT_SHARED = shutil.ignore_patterns("image", "__pycache__")

PACKAGE = Path("agent/nodemesh")  # a backend runs in the project's root (PEP 517)

#: What runs for each connection and request.
HOT = (
    "balance/*.py",
    "bounded.py",
    "proxy/*.py",
    "proxy/*/*.py",
    "routing/fields.py",
    "routing/match.py",
    "routing/request.py",
    "routing/rewrite.py",
    "telemetry/access_log.py",
    "telemetry/decisions.py",
    "telemetry/formatting.py",
    "telemetry/histogram.py",
    "telemetry/labels.py",
    "telemetry/memo.py",
    "telemetry/operators.py",
    "telemetry/record.py",
    "telemetry/series.py",
    "telemetry/telemetry.py",
    "telemetry/values.py",
)

#: What is not: stories, and what msgspec makes classes of.
PLAIN = {"__init__.py", "materials.py", "messages.py"}

COMPILE = os.environ.get("NODEMESH_COMPILE") == "1"


def modules() -> list[str]:
    """The files to compile, all into one library: calls between them are C calls."""
    found = (path for pattern in HOT for path in PACKAGE.glob(pattern) if path.name not in PLAIN)
    return sorted(map(str, found))


def extensions() -> list[Any]:
    import mypyc
    from mypyc.build import mypycify

    os.environ["MYPYPATH"] = str(PACKAGE.parent)
    found = list(mypycify(modules(), opt_level="3", group_name="nodemesh"))
    for extension in found:
        extension.extra_compile_args += placeless(Path(mypyc.__file__).parent)
    return found


def placeless(library: Path) -> list[str]:
    """What keeps the names of folders out of what gcc and clang make, in assertions as in what debuggers read: the same
    sources are the same bytes wherever they are built. pip builds in a folder of another name each time."""
    return [f"-ffile-prefix-map={library}=mypyc", f"-ffile-prefix-map={Path.cwd()}=."]


class Build(build_py):
    """The modules, and beside them what they share."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # the checkout has it all
            return
        target = Path(self.build_lib, PACKAGE.name, "_share")
        shutil.rmtree(target, ignore_errors=True)  # what an earlier build left
        for name in SHARED:
            shutil.copytree(name, target / name, ignore=NOT_SHARED)


class SourceDistribution(sdist):
    """All that a wheel is made of."""

    def add_defaults(self) -> None:
        super().add_defaults()
        self.filelist.extend(["agent/build_backend.py", "agent/build_mypy.py", "agent/build_page.py"])
        for name in SHARED:
            self.filelist.graft(name)


class BuildBackend(build_meta._BuildMetaBackend):
    """Setuptools' own, with the commands above and, where something is built, the extensions."""

    def run_setup(self, setup_script: str = "setup.py") -> None:
        building = bool({"bdist_wheel", "editable_wheel"} & set(sys.argv))
        if building:
            build_page.try_build()
        setup(
            ext_modules=extensions() if COMPILE and building else [],
            cmdclass={"build_py": Build, "sdist": SourceDistribution},
        )

    def get_requires_for_build_wheel(self, config_settings: Any = None) -> list[str]:
        """What brings npm where there is none; mypyc, and what it needs to know the types of."""
        node = [] if build_page.npm() else [build_page.NODE_PACKAGE]
        if not COMPILE:
            return node
        project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
        mypy = [need for need in project["optional-dependencies"]["dev"] if need.startswith(("mypy", "types-"))]
        return [*node, *mypy, *project["dependencies"]]

    get_requires_for_build_editable = get_requires_for_build_wheel


backend = BuildBackend()
