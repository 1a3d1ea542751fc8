"""A worker whose user-space instructions are counted by valgrind's callgrind: exact where the clock is not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from .nodemesh import Nodemesh
from .processes import Failed, descendants

TOTALS = re.compile(r"^(?:summary|totals): (\d+)", re.MULTILINE)

#: valgrind runs the whole start some 15 times slower.
PATIENCE = 180.0


class Counted(Nodemesh):
    """nodemesh under callgrind, which counts nothing until it is told to."""

    name = "nodemesh"
    patience = PATIENCE

    def command(self) -> Sequence[str]:
        out = f"--callgrind-out-file={self.folder}/callgrind.%p"
        return ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--trace-children=yes", out, *super().command()]

    def worker(self) -> int:
        """The process that serves connections."""
        for pid in descendants(self.process.pid):
            if b"nodemesh.node.worker" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        raise Failed(f"no worker runs:\n{self.process.tail()}")

    def start_counting(self) -> None:
        """From here on each instruction counts, and takes some 50 times as long."""
        self._control("--instr=on")

    def zero(self) -> None:
        self._control("--zero")

    def count(self) -> int:
        """The instructions since `zero`."""
        self._control("--dump=count")
        newest = max(self.folder.glob(f"callgrind.{self.worker()}*"), key=lambda path: path.stat().st_mtime_ns)
        found = TOTALS.search(newest.read_text(errors="replace"))
        if found is None:
            raise Failed(f"callgrind wrote no total to {newest}")
        return int(found[1])

    def _control(self, what: str) -> None:
        command = ["callgrind_control", what, str(self.worker())]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        if ended.returncode or "OK." not in ended.stdout:
            raise Failed(f"{' '.join(command)}: {(ended.stdout + ended.stderr)[-300:]}")
