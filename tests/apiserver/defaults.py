"""What the API server fills in of objects that leave it out."""

from __future__ import annotations

from typing import Any


def completed(value: Any) -> Any:
    """A copy in which each `fieldRef` has its `apiVersion` (core/v1, ObjectFieldSelector). Of the defaults this
    one stands in an item of a list that is merged by another key, so that a server-side apply meets it as the field of
    somebody else."""
    if isinstance(value, list):
        return [completed(each) for each in value]
    if not isinstance(value, dict):
        return value
    made = {name: completed(each) for name, each in value.items()}
    if isinstance(made.get("fieldRef"), dict):
        made["fieldRef"] = {"apiVersion": "v1", **made["fieldRef"]}
    return made
