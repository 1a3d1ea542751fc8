"""The environment variables that header values may show: those that MeshConfig lists, and no others of the agent's."""

from __future__ import annotations

import os
from typing import Final

_shown: Final[dict[bytes, bytes]] = {}


def allow(names: tuple[str, ...]) -> None:
    """Have these shown from now on."""
    _shown.clear()
    for name in names:
        if name in os.environ:
            _shown[name.encode()] = os.environb[name.encode()]


def variable(name: bytes) -> bytes:
    """Empty for one that is not set, and for one that is not shown."""
    return _shown.get(name, b"")
