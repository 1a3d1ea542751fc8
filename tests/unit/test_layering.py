"""The house's one-way layering: which package may import which (DESIGN: "The code: one way only")."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2] / "agent" / "nodemesh"

#: package -> what it may import of ours. `reasons` and `share` serve all.
ALLOWED = {
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
    "sim": {"config", "registry", "routing", "balance", "telemetry", "proxy"},
    "node": {"config", "registry", "routing", "balance", "telemetry", "proxy", "datapath", "admin"},
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
        "sim",
    },
}

#: third-party packages with one home each; a folder of ours, or single files.
HOMES = {
    "bcc": {"datapath/compiler.py"},
    "pyroute2": {"datapath/links.py", "lab/network.py", "node/links.py"},
    "kubernetes": {"registry/sources/kubernetes.py"},
    "aiohttp": {"admin/http.py", "cli/client.py", "registry/sources/kubernetes.py"},
    "yaml": {"config/yaml.py"},
    "prometheus_client": {"telemetry/exposition.py"},
    "xxhash": {"balance/hashing.py"},
    "mypy_extensions": {
        "proxy/clock.py",
        "proxy/tcp/early.py",
        "proxy/dns/nameserver.py",
        "proxy/http/responder.py",
        "proxy/http2/client_stream.py",
        "proxy/http2/server_stream.py",
        "proxy/http/stream.py",
        "proxy/http2/receiver.py",
        "proxy/http2/role.py",
        "proxy/gate.py",
        "proxy/network.py",
        "proxy/io/platform.py",
        "proxy/tls/transport.py",
        "proxy/transport.py",
        "proxy/worker.py",
        "telemetry/telemetry.py",
    },
    "re2": {"config/regex.py"},
    "dns": {"node/resolve.py", "proxy/dns/message.py"},
    "cryptography": {"proxy/tls/expiry.py", "proxy/tls/peer.py", "lab/certificates.py"},
}


def imports_of(path: Path) -> set[tuple[str, ...]]:
    found: set[tuple[str, ...]] = set()
    package = path.relative_to(ROOT.parent).with_suffix("").parts
    for node in ast.walk(ast.parse(path.read_text())):
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
            if module[0] != "nodemesh" or len(module) < 2 or module[1] in (package, "reasons", "share", "__version__"):
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
