"""What a reader can hold: files and functions have a size, flags have names, and a class's name means one class."""

import ast
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

AGENT = Path(__file__).parents[2] / "agent"

LINES_OF_A_FILE = 400
LINES_OF_A_FUNCTION = 60

#: Names that several classes still have. Nothing is added here; what is renamed leaves.
SHARED_NAMES = {
    "Account", "Address", "Addresses", "Answer", "Api", "Applied", "Asked", "Attached", "Backend", "Backoff", "Block",
    "Call", "Caller", "Carrier", "Change", "Changes", "Cluster", "Connection", "Connections", "Decoder", "Deed",
    "Destination", "Edge", "Endpoint", "Event", "Explanation", "Exposed", "Facts", "Failure", "Family", "Fault",
    "File", "Finding", "Findings", "Flow", "FormatError", "Formatter", "HTTPHeader", "Handler", "Head", "Health",
    "Judge", "Kept", "Kind", "Known", "Layout", "Limits", "Line", "Listener", "Loaded", "Location", "Memo", "Message",
    "Mode", "Named", "Node", "Operation", "Origin", "Outcome", "Page", "Place", "Placement", "Places", "Pod", "Pool",
    "Port", "Problem", "Question", "QuestionError", "Queue", "Reader", "Recorder", "Refusal", "Refused",
    "Relay", "Reporter", "Resolution", "Resolver", "RetryBudget", "Route", "Row", "Seen", "Server", "Service",
    "ServicePort", "Session", "Settings", "Shape", "Side", "Sockmap", "Source", "Spot", "Stamp", "State", "Step",
    "Stream", "Telemetry", "Tunnel", "Upstream", "Verdict", "View", "Wanted", "Watch", "Watcher", "WireError",
}  # fmt: skip


def files() -> list[Path]:
    return sorted(AGENT.rglob("*.py"))


@lru_cache(None)
def nodes(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text())))


def place(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(AGENT)}:{node.lineno}"


def test_no_file_is_longer_than_one_reads_at_a_time():
    sizes = {str(path.relative_to(AGENT)): len(path.read_text().splitlines()) for path in files()}
    assert {name: size for name, size in sizes.items() if size > LINES_OF_A_FILE} == {}


def test_no_function_is_longer_than_a_screen():
    long = {}
    for path in files():
        for node in nodes(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = node.end_lineno - node.lineno + 1
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
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                found[node.name].append(place(path, node))
    assert {name: places for name, places in found.items() if len(places) > 1 and name not in SHARED_NAMES} == {}
    assert {name for name in SHARED_NAMES if len(found[name]) < 2} == set()
