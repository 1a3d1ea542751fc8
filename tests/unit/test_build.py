"""What the build backend compiles: plain Python of ours that mypyc can take."""

import ast
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: What msgspec makes classes of, and what runs once per certificate.
PLAIN = {"proxy/messages.py", "proxy/tls/certificates.py"}
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


def test_only_what_is_meant_stays_plain(monkeypatch):
    """A module that has the name of one that is not compiled would silently stay slow."""
    monkeypatch.chdir(ROOT)
    found = {str(path) for pattern in BACKEND["HOT"] for path in BACKEND["PACKAGE"].glob(pattern)}
    left = {path.removeprefix("agent/nodemesh/") for path in found - set(BACKEND["modules"]())}
    assert {path for path in left if not path.endswith("__init__.py")} == PLAIN
