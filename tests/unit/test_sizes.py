"""What a reader can hold: files and functions have a size, flags have names, and a class's name means one class."""

import ast
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
AGENT = TESTS.parent / "agent"

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60

#: Names that two classes have, and why: both are the API's own, by which its fields' rules and descriptions are found.
SHARED_NAMES = {
    "HTTPHeader": "a message of Istio's API (a probe's request), and one of the Gateway API (a filter's header)",
}


def files() -> list[Path]:
    return sorted(AGENT.rglob("*.py"))


@lru_cache(None)
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(AGENT)}:{node.lineno}"


def test_no_file_is_longer_than_one_reads_at_a_time():
    ours = [*files(), *TESTS.rglob("*.py")]
    sizes = {str(path.relative_to(TESTS.parent)): len(path.read_text().splitlines()) for path in ours}
    assert {name: size for name, size in sizes.items() if size > LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_a_screen():
    long = {}
    for path in files():
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > LINES_OF_A_FUNCTION:
                    long[f"{place(path, node)} {node.name}"] = size
    assert long == {}


def test_several_flags_of_one_call_are_named():
    unnamed = []
    for path in files():
        for node in nodes(path):
            if isinstance(node, ast.Call):
                flags = [one for one in node.args if isinstance(one, ast.Constant) and isinstance(one.value, bool)]
                if len(flags) > 1:
                    unnamed.append(f"{place(path, node)} {ast.unparse(node)}")
    assert unnamed == []


def test_a_name_means_one_class():
    found = defaultdict(list)
    for path in files():
        for node in nodes(path):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(place(path, node))
    shared = {name: places for name, places in found.items() if len(places) > 1}
    assert {name: places for name, places in shared.items() if name not in SHARED_NAMES} == {}
    assert SHARED_NAMES.keys() <= shared.keys()
