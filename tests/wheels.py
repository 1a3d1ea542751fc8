"""The project's wheel, built and installed into a virtual environment of its own, as a user has it."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = ("pyproject.toml", "README.md", "LICENSE", "agent", "bpf", "manifests")


def clean_environment() -> dict[str, str]:
    """Nothing that would let the checkout shine through."""
    return {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "NODEMESH_COMPILE")}


def build(folder: Path) -> Path:
    """The wheel, made of a copy: building leaves traces."""
    sources = folder / "sources"
    sources.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
        copy(ROOT / part, sources / part)
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*pip, "--wheel-dir", str(folder), str(sources)], check=True, env=clean_environment())
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(folder: Path) -> Path:
    """The environment's folder with the commands. What nodemesh needs comes from this Python's own environment."""
    wheel = build(folder)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, env=clean_environment())
    (packages,) = (folder / "venv" / "lib").glob("python3*/site-packages")
    (packages / "needs.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent
