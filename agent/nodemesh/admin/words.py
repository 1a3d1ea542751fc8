"""Matches and actions of rules in words, for tables: beside them the API has them as they are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

#: How texts are compared, by the field that says so (Istio's StringMatch) or the type (the Gateway API's).
COMPARED = {"exact": "= {}", "prefix": "= {}…", "regex": "~ {}"}
TYPES = {"Exact": "= {}", "PathPrefix": "= {}/…", "RegularExpression": "~ {}"}

#: Fields that have names of their own inside.
NAMED = {"headers": "header", "queryParams": "parameter", "withoutHeaders": "no header"}


def match_words(matches: Sequence[Mapping[str, Any]]) -> str:
    """`header end-user = jason and uri = /canary… or method = POST`; empty where all requests match."""
    return " or ".join(" and ".join(_conditions(match)) or "all" for match in matches)


def _conditions(match: Mapping[str, Any]) -> list[str]:
    found = []
    for field, value in match.items():
        if field in NAMED and isinstance(value, dict):
            found += [f"{NAMED[field]} {name} {_compared(text)}".rstrip() for name, text in value.items()]
        elif field in NAMED and isinstance(value, list):
            found += [f"{NAMED[field]} {each.get('name', '')} {_typed(each, 'Exact')}" for each in value]
        elif field == "path" and isinstance(value, dict):
            found.append(f"path {_typed(value, 'PathPrefix')}")
        elif isinstance(value, dict):
            found.append(f"{field} {_compared(value)}".rstrip())
        else:
            found.append(f"{field} {words(value)}")
    return found


def _compared(text: Mapping[str, Any]) -> str:
    """An empty one asks only for the name."""
    return " ".join(COMPARED[how].format(value) if how in COMPARED else words({how: value})
                    for how, value in text.items())  # fmt: skip


def _typed(entry: Mapping[str, Any], usual: str) -> str:
    value = str(entry.get("value", "/"))
    if value.endswith("/"):
        value = value[:-1] if entry.get("type", usual) == "PathPrefix" else value
    return TYPES.get(entry.get("type", usual), "= {}").format(value)


def action_words(action: Mapping[str, Any]) -> str:
    """`reviews v1 90 %, reviews v2 10 %; timeout 0.2s; retries (attempts 3, retryOn 5xx)`."""
    parts = []
    for field, value in action.items():
        if field == "route" and isinstance(value, list):
            parts.append(_destinations(value))
        else:
            parts.append(f"{field} {words(value)}")
    return "; ".join(part for part in parts if part)


def _destinations(entries: Sequence[Mapping[str, Any]]) -> str:
    total = sum(entry.get("weight", 0) for entry in entries)
    found = []
    for entry in entries:
        to = entry.get("destination", {})
        port = f":{to['port']['number']}" if "number" in to.get("port", {}) else ""
        name = f"{to.get('host', '')}{port} {to.get('subset', '')}".rstrip()
        share = f" {entry.get('weight', 0) * 100 / total:.3g} %" if len(entries) > 1 and total else ""
        rest = {key: value for key, value in entry.items() if key not in ("destination", "weight")}
        found.append(name + share + (f" {words(rest)}" if rest else ""))
    return ", ".join(found)


def words(value: Any) -> str:
    """Any part of a rule: `(attempts 3, retryOn 5xx)`."""
    if isinstance(value, dict):
        if list(value) == ["value"]:
            return words(value["value"])
        return f"({', '.join(f'{key} {words(each)}' for key, each in value.items())})"
    if isinstance(value, list):
        return ", ".join(map(words, value))
    return (
        "on" if value is True else "off" if value is False else f"{value:g}" if isinstance(value, float) else str(value)
    )
