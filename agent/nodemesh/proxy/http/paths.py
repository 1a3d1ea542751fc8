"""A request's path as rules see it, apart from its query."""

from __future__ import annotations

from typing import Final

from ...bounded import Bounded
from ...routing.rewrite import normalize_path
from .errors import ProtocolError
from .lines import KNOWN_HEADS, KNOWN_LENGTH

#: Paths as rules see them, by what they came as.
PATHS: Final[Bounded[bytes, bytes]] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)


def split_path(target: bytes) -> tuple[bytes, bytes]:
    """Path and query of a target in origin form. Raises ProtocolError."""
    path = target.partition(b"#")[0]  # Envoy strips a fragment, too: it is no part of a request
    path, _, query = path.partition(b"?")
    normal = PATHS.found.get(path)
    if normal is None:
        try:
            normal = normalize_path(path)
        except ValueError as error:
            raise ProtocolError(f"a path with {error}") from error
        PATHS.keep(path, normal, len(path))
    return normal, query
