"""A problem found in the configuration: what, where, and what would be right."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from .meta import Location


class Severity(StrEnum):
    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One finding. `refused` says that the object itself is invalid and was not accepted; `path` is the field's path
    in the form `spec.http[0].match[1].headers.end-user`; `code` is stable (for instance `unknown-field`)."""

    code: str
    message: str
    severity: Severity = Severity.ERROR
    refused: bool = False
    location: Location = Location()
    kind: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
