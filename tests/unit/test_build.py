"""What runs for each connection and request is compiled where that was asked for: an extension that is missing falls
back to its Python without a word, and a hot module outside the list would never be one."""

import ast
import importlib
import os
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

ROOT = Path(__file__).parents[2]

sys.path.insert(0, str(ROOT / "agent"))  # where the backend finds what lies beside it
spec = spec_from_file_location("build_backend", ROOT / "agent" / "build_backend.py")  # it lies beside the package
assert spec is not None and spec.loader is not None
backend = module_from_spec(spec)
spec.loader.exec_module(backend)

#: Folders of the data path all of whose modules run for each connection.
HOT_FOLDERS = ("proxy", "balance")


def test_hot_modules_are_extensions_in_a_compiled_build():
    found = {name: importlib.import_module(name).__file__ or "" for name in map(module_name, absolute_modules())}
    assert len(found) > 40
    compiled = {name for name, path in found.items() if path.endswith(tuple(EXTENSION_SUFFIXES))}
    wanted = set(found) if os.environ.get("NODEMESH_COMPILE") == "1" else set()
    assert compiled == wanted


def test_every_file_of_the_data_path_is_in_the_list():
    listed = set(absolute_modules())
    missing = [
        str(path.relative_to(ROOT))
        for folder in HOT_FOLDERS
        for path in (ROOT / backend.PACKAGE / folder).rglob("*.py")
        if path.name not in backend.PLAIN and path not in listed
    ]
    assert missing == []


def test_what_msgspec_makes_classes_of_is_not_compiled():
    structs = [
        f"{path}: {node.name}"
        for path in absolute_modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and "Struct" in "".join(map(ast.unparse, node.bases))
    ]
    assert not structs


def test_each_pattern_of_the_list_finds_something():
    assert [pattern for pattern in backend.HOT if not list((ROOT / backend.PACKAGE).glob(pattern))] == []


def absolute_modules() -> list[Path]:
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        return [ROOT / name for name in backend.modules()]
    finally:
        os.chdir(before)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT / "agent").with_suffix("").parts)


def test_what_is_compiled_does_not_say_where(tmp_path, monkeypatch):
    made = []
    for name in ("one", "another"):
        project, library = tmp_path / name / "project", tmp_path / name / "build-env" / "mypyc"
        for folder in (project, library):
            folder.mkdir(parents=True)
        (library / "checked.h").write_text(
            "#include <assert.h>\nstatic int checked(int it) { assert(it); return it; }\n"
        )
        (project / "hot.c").write_text(
            '#include "checked.h"\nint hot(int it) { assert(it > 1); return checked(it); }\n'
        )
        monkeypatch.chdir(project)
        command = ["gcc", "-c", "-g", "-UNDEBUG", *backend.placeless(library), f"-I{library}", "hot.c", "-o", "hot.o"]
        subprocess.run(command, check=True)
        made.append((project / "hot.o").read_bytes())
    assert made[0] == made[1] and str(tmp_path).encode() not in made[0]
    assert b"mypyc/checked.h" in made[0]
