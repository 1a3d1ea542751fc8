"""The live page's files, from the installed package: nothing of it comes from elsewhere."""

from __future__ import annotations

import gzip
from functools import cache
from pathlib import Path
from typing import NamedTuple

STATIC = Path(__file__).parent / "static"

TYPES = {"index.html": "text/html", "app.js": "text/javascript", "app.css": "text/css"}

#: Scripts, styles and data from the agent alone; sizes that the picture computes are style attributes.
POLICY = (
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)

MISSING = (
    "the page is not in this installation; `pip install` the project with npm at hand, or use `nodemesh graph` and "
    "`nodemesh top`"
)


class Asset(NamedTuple):
    """A file of the page, plain and zipped."""

    content_type: str
    plain: bytes
    zipped: bytes


@cache
def asset(name: str) -> Asset | None:
    """None where there is no such file."""
    kind = TYPES.get(name)
    if kind is None:
        return None
    try:
        content = (STATIC / name).read_bytes()
    except OSError:
        return None
    return Asset(kind, content, gzip.compress(content, mtime=0))
