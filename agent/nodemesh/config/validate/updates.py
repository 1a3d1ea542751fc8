"""What an object may not change: fields that the API server keeps as they were created."""

from __future__ import annotations

from typing import Any

from ..gatewayapi.gateways import GatewayClassSpec
from ..meta import Object, Path

#: By the spec's type: the fields (their attribute and path) that stay.
IMMUTABLE: dict[type, tuple[tuple[str, Path], ...]] = {
    GatewayClassSpec: (("controller_name", ("spec", "controllerName")),),
}


def changed_field(before: Object[Any], after: Object[Any]) -> Path | None:
    """The first field that has changed and may not; None where all is well."""
    for attribute, path in IMMUTABLE.get(type(after.spec), ()):
        if getattr(before.spec, attribute, None) != getattr(after.spec, attribute):
            return path
    return None
