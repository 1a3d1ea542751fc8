"""The admin API's OpenAPI document (3.1), and its reference page `manifests/docs/admin-api.md`."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import msgspec

from .. import __version__
from .answers import ErrorAnswer
from .operations import JSON, OPERATIONS, Operation

ABOUT = """What the agent of a node knows and does. It answers to its own addresses, and to the hosts in MeshConfig's
`adminHosts`. Clients on loopback, where a port-forward ends as well, and in the networks of `adminClients` may read
all. Others, where the API listens for them, may read what probes and Prometheus ask for, and get 403 for the rest.
All is read with GET, and nothing changes by it. No answer has what is in Secrets, and of paths nothing behind `?`.
Fields may be added; none is taken away or renamed."""

_REFERENCE = "#/components/schemas/{name}"
_SUFFIX = "Answer"


@cache
def document() -> dict[str, Any]:
    """The whole document."""
    types = [answer for operation in OPERATIONS for answer in operation.answers]
    found, components = msgspec.json.schema_components([ErrorAnswer, *types], ref_template=_REFERENCE)
    error, *rest = _shown(found)
    shapes = iter(rest)
    by_operation = {operation.path: [next(shapes) for _ in operation.answers] for operation in OPERATIONS}
    return {
        "openapi": "3.1.0",
        "info": {"title": "nodemesh", "version": __version__, "description": " ".join(ABOUT.split())},
        "paths": {
            operation.path: {"get": _operation(operation, by_operation[operation.path], error)}
            for operation in OPERATIONS
        },
        "components": {"schemas": {name.removesuffix(_SUFFIX): _shown(shape) for name, shape in components.items()}},
    }


def _shown(schema: Any) -> Any:
    """By the names that users know, which a generated client's types have: a `ServiceAnswer` is a `Service`."""
    if isinstance(schema, dict):
        return {
            key: value.removesuffix(_SUFFIX) if key in ("$ref", "title") and isinstance(value, str) else _shown(value)
            for key, value in schema.items()
        }
    if isinstance(schema, list | tuple):
        return [_shown(each) for each in schema]
    return schema


def _operation(operation: Operation, shapes: list[dict[str, Any]], error: dict[str, Any]) -> dict[str, Any]:
    shape: dict[str, Any] = {"type": "object"} if operation.media == JSON else {"type": "string"}
    if shapes and operation.media == JSON:
        shape = shapes[0] if len(shapes) == 1 else {"anyOf": shapes}
    answers: dict[str, Any] = {
        "200": {"description": operation.text, "content": {operation.media: {"schema": shape}}},
        "default": {"description": "What was wrong.", "content": {JSON: {"schema": error}}},
    }
    if operation.path == "/readyz":
        answers["503"] = {"description": "What is missing.", "content": {JSON: {"schema": shape}}}
    parameters = [
        {
            "name": parameter.name,
            "in": "query",
            "required": parameter.required,
            "description": parameter.text,
            "schema": {"type": "array", "items": {"type": parameter.type}}
            if parameter.repeated
            else {"type": parameter.type},
        }
        for parameter in operation.parameters
    ]
    parameters += [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"\{(\w+)\}", operation.path)
    ]
    found: dict[str, Any] = {"operationId": operation.path.strip("/") or "page", "summary": operation.text}
    if parameters:
        found["parameters"] = parameters
    return {**found, "responses": answers}


def reference() -> str:
    """The page for people."""
    found = document()
    lines = [
        "# The admin API",
        "",
        "Generated from the code (`agent/nodemesh/admin/operations.py`); a test keeps it in step.",
    ]
    lines += ["`GET /openapi.json` is the same for programs.", "", *ABOUT.split("\n")]
    for operation in OPERATIONS:
        lines += ["", f"## GET {operation.path}", "", operation.text + " For every client." * operation.anyone]
        if operation.parameters:
            lines += ["", "| parameter | |", "|---|---|"]
            lines += [
                f"| `{each.name}` | {each.text}{'; needed' if each.required else ''}"
                f"{'; may be repeated' if each.repeated else ''} |"
                for each in operation.parameters
            ]
        content = found["paths"][operation.path]["get"]["responses"]["200"]["content"]
        schema = next(iter(content.values()))["schema"]
        lines += ["", f"Answer ({operation.media}): {_words(schema)}."]
    lines += ["", "## Shapes"]
    for name, schema in sorted(found["components"]["schemas"].items()):
        lines += ["", f"### {name}", "", " ".join(schema.get("description", "").split()), ""]
        lines += ["| field | |", "|---|---|"]
        lines += [f"| `{field}` | {_words(shape)} |" for field, shape in schema.get("properties", {}).items()]
    return "\n".join(lines) + "\n"


def _words(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_words(each) for each in schema["anyOf"])
    if schema.get("type") == "array":
        items = schema.get("items")
        return f"list of {_words(items)}" if items else "list"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"map to {_words(schema['additionalProperties'])}"
    return str(schema.get("type", "anything"))
