"""Unknown fields and wrong types in built-in objects, found by the official client's own models of them."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Any

from kubernetes.client import models

PLAIN: dict[str, type | tuple[type, ...]] = {"str": str, "bool": bool, "int": int, "float": (int, float)}

#: apiVersion and kind of what the client's models call otherwise.
PREFIX = {"v1": "V1", "v2": "V2"}


def model_of(data: dict[str, Any]) -> Any | None:
    """The model of an object, None where it is a custom one."""
    version = data["apiVersion"].rpartition("/")[2]
    group = data["apiVersion"].rpartition("/")[0]
    if group == "events.k8s.io":
        return models.EventsV1Event
    if group and "." in group and not group.endswith(".k8s.io"):
        return None
    return getattr(models, f"{PREFIX.get(version, version)}{data['kind']}", None)


@functools.cache
def fields_of(model: Any) -> dict[str, str]:
    """JSON name to type, for instance `list[V1Container]`."""
    return {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}


def errors(data: dict[str, Any]) -> list[str]:
    """What a strict server would refuse, one sentence each."""
    model = model_of(data)
    return list(_object(data, model, "")) if model is not None else []


def _object(data: Any, model: Any, path: str) -> Iterator[str]:
    if not isinstance(data, dict):
        yield f"{path}: expected an object, got {data!r}"
        return
    fields = fields_of(model)
    for key, value in data.items():
        if key not in fields:
            yield f'unknown field "{path}{key}"'
        else:
            yield from _value(value, fields[key], f"{path}{key}")


def _value(value: Any, kind: str, path: str) -> Iterator[str]:
    if value is None or kind == "object":
        return
    many = re.fullmatch(r"list\[(.*)\]", kind, re.IGNORECASE)
    each = re.fullmatch(r"dict[\[(]str, ?(.*)[\])]", kind, re.IGNORECASE)
    if many:
        if not isinstance(value, list):
            yield f"{path}: expected a list, got {value!r}"
            return
        for index, item in enumerate(value):
            yield from _value(item, many[1], f"{path}[{index}]")
    elif each:
        if not isinstance(value, dict):
            yield f"{path}: expected a map, got {value!r}"
            return
        for key, item in value.items():
            yield from _value(item, each[1], f"{path}.{key}")
    elif kind in PLAIN:
        if not isinstance(value, PLAIN[kind]) or (kind != "bool" and isinstance(value, bool)):
            yield f"{path}: expected {kind}, got {value!r}"
    elif (model := getattr(models, kind, None)) is not None:
        yield from _object(value, model, f"{path}.")
