"""The status subresource of an object, which others write to as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from ..registry.sources.api import Api, ApiError
from .election import JSON

#: How often one object is tried where others are faster.
TRIES = 3


async def update_status(
    api: Api, path: str, uid: str, generation: int, renew: Callable[[dict[str, Any]], dict[str, Any] | None]
) -> bool:
    """Replace the status of this generation of an object by what `renew` makes of it: None where it is right already.
    False where it is to be tried again. Raises ApiError."""
    for _ in range(TRIES):
        try:
            data = msgspec.json.decode(await api.get(path, {}, JSON))
            meta = data["metadata"]
            if (meta.get("uid"), meta.get("generation", 0)) != (uid, generation):
                return False  # newer than what was judged: the watch will tell
            status = renew(data.get("status") or {})
            if status is not None:
                body = msgspec.Raw(msgspec.json.encode({**data, "status": status}))
                await api.send("PUT", f"{path}/status", body)
            return True
        except ApiError as error:
            if error.status == 404:
                return True  # gone, or a CRD without statuses
            if error.status != 409:
                raise
    return False
