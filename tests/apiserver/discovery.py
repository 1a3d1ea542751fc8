"""What kubectl asks before it applies anything: versions, groups and resources."""

from __future__ import annotations

from typing import Any

from .kinds import Kinds

VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]

VERSION = {"major": "1", "minor": "32", "gitVersion": "v1.32.0", "platform": "linux/amd64"}


def answer(path: str, kinds: Kinds) -> dict[str, Any] | None:
    """The document at a path, None where there is none."""
    parts = path.strip("/").split("/")
    match parts:
        case ["version"]:
            return VERSION
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"]}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(kinds)}
        case ["apis", group]:
            return next((found for found in groups(kinds) if found["name"] == group), None)
        case ["api", version]:
            return resource_list("", version, kinds)
        case ["apis", group, version]:
            return resource_list(group, version, kinds)
    return None


def groups(kinds: Kinds) -> list[dict[str, Any]]:
    versions: dict[str, list[str]] = {}
    for kind in kinds:
        of_group = versions.setdefault(kind.group, [])
        if kind.group and kind.version not in of_group:
            of_group.append(kind.version)
    found = []
    for group, of_group in versions.items():
        rows = [{"groupVersion": f"{group}/{version}", "version": version} for version in of_group]
        if rows:
            found.append({"name": group, "versions": rows, "preferredVersion": rows[0]})
    return found


def resource_list(group: str, version: str, kinds: Kinds) -> dict[str, Any] | None:
    rows = [
        {
            "name": kind.plural,
            "singularName": kind.kind.lower(),
            "kind": kind.kind,
            "namespaced": kind.namespaced,
            "verbs": VERBS,
        }
        for kind in kinds
        if (kind.group, kind.version) == (group, version)
    ]
    if not rows:
        return None
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": rows}
