import ast
from pathlib import Path

from nodemesh import config
from nodemesh.config.codes import CODES

ROOT = Path(config.__file__).parent
METHODS = {"error", "bad_value", "warning", "Flaw", "_flaw"}


def written_codes():
    """The first argument of every call that makes a finding."""
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and node.args:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                for value in ast.walk(node.args[0]) if name in METHODS else ():
                    if isinstance(value, ast.Constant) and isinstance(value.value, str) and "-" in value.value:
                        yield value.value


def test_every_code_is_explained():
    assert set(written_codes()) <= set(CODES)


def test_explanations_are_sentences():
    for code, text in CODES.items():
        assert code == code.lower() and " " not in code
        assert text.endswith(".") and "\n" not in text
