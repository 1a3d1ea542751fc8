"""What runs for each connection and request is compiled where that was asked for: an extension that is missing falls
back to its Python without a word, and a hot module outside the list would never be one."""

import ast
import importlib
import os
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
