"""What a pod gets, in whichever HTTP."""

from __future__ import annotations

from typing import NamedTuple


class Got(NamedTuple):
    """A request as it came: its first line's parts, its field lines and its body, and in which HTTP."""

    at: float
    method: str
    target: str
    lines: list[str]
    body: bytes
    version: str = "HTTP/1.1"

    def field(self, name: str) -> str | None:
        """A field's values, joined."""
        values = [line.partition(":")[2].strip() for line in self.lines if line.partition(":")[0].lower() == name]
        return ",".join(values) if values else None
