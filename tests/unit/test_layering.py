"""The house's one-way layering: which package may import which (DESIGN: "The code: one way only")."""

import ast
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).parents[2] / "agent" / "nodemesh"

#: package -> what it may import of ours. `bounded`, `reasons` and `share` serve all.
ALLOWED = {
    "bounded": set(),
    "reasons": set(),
    "share": set(),
    "config": set(),
    "registry": {"config"},
    "routing": {"config", "registry"},
    "balance": {"config", "registry", "routing"},
    "telemetry": {"config", "registry", "routing"},
    "proxy": {"config", "registry", "routing", "balance", "telemetry"},
    "datapath": {"config", "registry", "routing"},
    "lab": {"datapath"},
    "sim": {"config", "registry", "routing", "balance", "telemetry", "proxy", "lab"},
    "node": {"config", "registry", "routing", "balance", "telemetry", "proxy", "datapath", "admin"},
    "relay": {"config", "registry"},
    "admin": {"config", "registry", "routing", "telemetry"},
    "cli": {
        "config",
        "registry",
        "routing",
        "balance",
        "telemetry",
        "proxy",
        "datapath",
        "admin",
        "node",
        "lab",
        "relay",
        "sim",
    },
}

#: third-party packages with one home each; a folder of ours, or single files.
HOMES = {
    "bcc": {"datapath/compiler.py"},
    "pyroute2": {"lab/network.py"},
    "kubernetes": {"registry/sources/aioclient.py"},
    "aiohttp": {
        "admin/door.py",
        "admin/http.py",
        "admin/peers.py",
        "node/exporter.py",
        "node/peer_door.py",
        "node/peers.py",
        "registry/sources/kubernetes.py",
        "relay/relay.py",
        "relay/server.py",
    },
    "yaml": {"config/yaml.py"},
    "prometheus_client": {"telemetry/exposition.py"},
    "xxhash": {"balance/hashing.py"},
    "mypy_extensions": {
        "proxy/clock.py",
        "proxy/tcp/early.py",
        "proxy/dns/nameserver.py",
        "proxy/udp/session.py",
        "proxy/http/responder.py",
        "proxy/http2/client_stream.py",
        "proxy/http2/server_stream.py",
        "proxy/http/stream.py",
        "proxy/http2/receiver.py",
        "proxy/http2/role.py",
        "proxy/gate.py",
        "proxy/network.py",
        "proxy/io/platform.py",
        "proxy/tcp/tunnel.py",
        "proxy/tls/certificates.py",
        "proxy/tls/transport.py",
        "proxy/transport.py",
        "proxy/worker.py",
        "telemetry/telemetry.py",
    },
    "re2": {"config/regex.py"},
    "dns": {"node/resolve.py", "proxy/dns/message.py"},
    "cryptography": {
        "proxy/tls/expiry.py",
        "proxy/tls/peer.py",
        "lab/certificates.py",
        "node/own_certificate.py",
    },
}


#: What is pure by design: time, randomness and the system are handed in.
PURE = ("bounded.py", "reasons.py", "config/", "registry/", "routing/", "balance/", "proxy/")
SYSTEM = {"os", "socket", "select", "time", "random"}

#: Where the system is met, and why; what is below these folders does IO.
IO = ("proxy/io/", "registry/sources/")
MEETS_THE_SYSTEM = {
    "proxy/worker.py": {"os", "socket"},  # the process: its sockets to control, and the descriptors that come by it
    "proxy/addresses.py": {"socket"},  # the numbers of address families
    "proxy/connector.py": {"socket"},  # whether a name is an address
    "proxy/dns/nameserver.py": {"os"},  # numbers of queries that nobody can guess
    "proxy/http/connect_error.py": {"os"},  # the system's words for an error
    "proxy/http/environment.py": {"os"},  # variables that MeshConfig shows
    "proxy/http/request_id.py": {"os"},  # where identifiers begin
    "proxy/http/variables.py": {"socket"},  # %HOSTNAME%
    "proxy/tls/context.py": {"os"},  # OpenSSL reads certificates from files alone: descriptors without a name
}

#: folder of proxy/ -> those that none of its files may import.
BELOW = {
    "http": {"http1", "http2", "accept", "io", "dns", "udp"},
    "http1": {"http2", "accept", "io", "dns", "udp"},
    "http2": {"http1", "accept", "io", "dns", "udp"},
    "grpc": {"http", "http1", "http2", "accept", "io", "dns", "tcp", "tls", "udp"},
    "tcp": {"http", "http1", "http2", "accept", "io", "dns", "udp"},
    "tls": {"http", "http1", "http2", "accept", "io", "dns", "tcp", "udp"},
    "dns": {"http", "http1", "http2", "accept", "io", "tcp", "tls", "udp"},
    "udp": {"http", "http1", "http2", "io", "dns", "tls"},
    "accept": {"io", "dns", "udp"},
}


@lru_cache(None)
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    package = path.relative_to(ROOT.parent).with_suffix("").parts
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {tuple(alias.name.split(".")) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level] if node.level else ()
            if path.name == "__init__.py" and node.level:
                base = package[: len(package) - node.level]
            module = base + tuple(node.module.split(".")) if node.module else base
            if len(module) == 1:  # from .. import x
                found |= {(*module, alias.name) for alias in node.names}
            else:
                found.add(module)
    return found


def test_packages_import_only_what_lies_before_them():
    wrong = []
    for path in ROOT.rglob("*.py"):
        relative = path.relative_to(ROOT)
        package = relative.parts[0].removesuffix(".py")
        if package in ("__init__", "__main__"):
            continue
        for module in imports_of(path):
            if (
                module[0] != "nodemesh"
                or len(module) < 2
                or module[1] in (package, "bounded", "reasons", "share", "__version__")
            ):
                continue
            if module[1] not in ALLOWED[package]:
                wrong.append(f"{relative} imports {'.'.join(module)}")
    assert not wrong


def test_third_party_packages_are_imported_in_their_home_only():
    wrong = []
    for path in ROOT.rglob("*.py"):
        relative = str(path.relative_to(ROOT))
        for module in imports_of(path):
            homes = HOMES.get(module[0])
            if homes is not None and relative not in homes:
                wrong.append(f"{relative} imports {module[0]}")
    assert not wrong


def modules() -> dict[tuple[str, ...], Path]:
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        found[parts[:-1] if parts[-1] == "__init__" else parts] = path
    return found


def arrows() -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    """Module -> the modules of ours that it imports, for types alone or not, at its top or within a function."""
    known = modules()
    found = {}
    for name, path in known.items():
        package = path.relative_to(ROOT.parent).with_suffix("").parts
        to = found[name] = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                to |= {tuple(alias.name.split(".")) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level] if node.level else ()
                module = base + tuple(node.module.split(".")) if node.module else base
                for alias in node.names:
                    to.add((*module, alias.name) if (*module, alias.name) in known else module)
        found[name] = (to & set(known)) - {name}
    return found


def circles(graph: dict[tuple[str, ...], set[tuple[str, ...]]]) -> set[tuple[str, ...]]:
    """What is left when those go, again and again, that lead nowhere or that nothing leads to."""
    left = {name: set(to) for name, to in graph.items()}
    while True:
        reached = set().union(*left.values()) if left else set()
        gone = {name for name, to in left.items() if not to or name not in reached}
        if not gone:
            return set(left)
        left = {name: to - gone for name, to in left.items() if name not in gone}


def test_no_imports_circle_not_even_those_for_types():
    assert {".".join(name) for name in circles(arrows())} == set()


def test_a_circle_is_found_with_what_stands_on_it():
    line: dict[tuple[str, ...], set[tuple[str, ...]]] = {("a",): {("b",)}, ("b",): {("c",)}, ("c",): set()}
    assert circles(line) == set()
    assert circles(line | {("c",): {("b",)}, ("d",): {("a",)}}) == {("b",), ("c",)}


def test_what_is_pure_by_design_meets_no_system():
    wrong = []
    for path in ROOT.rglob("*.py"):
        relative = str(path.relative_to(ROOT))
        if not relative.startswith(PURE) or relative.startswith(IO):
            continue
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Import):
                met = {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
                if node.module == "random" and [alias.name for alias in node.names] == ["Random"]:
                    continue  # the class of what is handed in
                met = {node.module.partition(".")[0]}
            else:
                continue
            met &= SYSTEM - MEETS_THE_SYSTEM.get(relative, set())
            wrong += [f"{relative} imports {name}" for name in met]
    assert not wrong


def test_folders_of_the_proxy_import_only_what_lies_below_them():
    wrong = []
    for name, to in arrows().items():
        if name[1:2] == ("proxy",) and len(name) > 3:
            above = BELOW.get(name[2], set())
            wrong += [f"{'.'.join(name)} imports {'.'.join(other)}" for other in to if set(other[2:3]) & above]
    assert not wrong


def test_every_entry_of_the_tables_is_still_true():
    stale = []
    for package in ALLOWED:
        if not (ROOT / package).is_dir() and not (ROOT / f"{package}.py").is_file():
            stale.append(package)
    homes = [(file, {package}) for package, files in HOMES.items() for file in files]
    for file, wanted in [*homes, *MEETS_THE_SYSTEM.items()]:
        path = ROOT / file
        imported = {module[0] for module in imports_of(path)} if path.is_file() else set()
        stale += [f"{file} imports no {name}" for name in wanted - imported]
    stale += [folder for folder in BELOW if not (ROOT / "proxy" / folder).is_dir()]
    assert not stale
