"""What a client gets, in whichever HTTP."""

from __future__ import annotations

from typing import NamedTuple


class Answer(NamedTuple):
    """A response; `broken` if it is not complete. Seconds count from the request's last byte."""

    status: int
    lines: list[tuple[str, str]]
    body: bytes
    interim: list[int]
    trailers: dict[str, str]
    seconds: float
    broken: bool

    def field(self, name: str) -> str | None:
        values = [value for key, value in self.lines if key == name]
        return ",".join(values) if values else None
