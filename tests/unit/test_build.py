"""What the build backend compiles: plain Python of ours that mypyc can take."""

import ast
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
BACKEND = runpy.run_path(str(ROOT / "agent" / "build_backend.py"))


def test_every_pattern_names_a_module():
    for pattern in BACKEND["HOT"]:
        assert list((ROOT / BACKEND["PACKAGE"]).glob(pattern)), pattern


def test_what_msgspec_makes_classes_of_is_not_compiled(monkeypatch):
    monkeypatch.chdir(ROOT)
    structs = [
        f"{path}: {node.name}"
        for path in BACKEND["modules"]()
        for node in ast.walk(ast.parse(Path(path).read_text()))
        if isinstance(node, ast.ClassDef) and "Struct" in "".join(map(ast.unparse, node.bases))
    ]
    assert not structs
