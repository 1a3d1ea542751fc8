"""A request's path as rules see it, apart from its query."""

from __future__ import annotations

from ...routing.rewrite import normalize_path
from .errors import ProtocolError


def split_path(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a target in origin form. Raises ProtocolError."""
    path = target.partition(b"#")[0]  # Envoy strips a fragment, too: it is no part of a request
    path, _, query = path.partition(b"?")
    try:
        return normalize_path(path), query
    except ValueError as error:
        raise ProtocolError(f"a path with {error}") from error
