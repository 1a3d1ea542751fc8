import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = Path(__file__).parents[2] / "agent" / "build_mypy.py"


@pytest.mark.parametrize("operator", ["in", "not in"])
def test_mypy_refuses_bytes_in_bytes_on_the_hot_path(tmp_path: Path, operator: str):
    for name in ("proxy/hot.py", "config/cold.py"):
        path = tmp_path / "agent" / "nodemesh" / name
        path.parent.mkdir(parents=True)
        path.write_text(f"def found(text: bytes) -> bool:\n    return b'%' {operator} text and 37 {operator} text\n")
    settings = tmp_path / "mypy.ini"
    settings.write_text(f"[mypy]\nplugins = {PLUGIN}\nmypy_path = agent\n")
    command = [sys.executable, "-m", "mypy", "agent/nodemesh/proxy/hot.py", "agent/nodemesh/config/cold.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert [line.split(":")[:2] for line in ended.stdout.splitlines() if "error" in line] == [
        ["agent/nodemesh/proxy/hot.py", "2"],
        ["Found 1 error in 1 file (checked 2 source files)"],
    ]
