"""What a plain scalar of YAML means: Kubernetes' reading (sigs.k8s.io/yaml, that is goyaml v2's resolve.go)."""

from __future__ import annotations

import re
from typing import Any

_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|0[bB]([01]+)|(0|[1-9][0-9]*))")

#: Plain scalars with a meaning of their own in sigs.k8s.io/yaml (YAML 1.1's words).
_WORDS: dict[str, Any] = {"": None, "~": None, "null": None, "Null": None, "NULL": None}
for _yes in ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"):
    _WORDS[_yes] = True
for _no in ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"):
    _WORDS[_no] = False
for _infinity in (".inf", ".Inf", ".INF"):
    _WORDS |= {_infinity: float("inf"), "+" + _infinity: float("inf"), "-" + _infinity: float("-inf")}
for _nan in (".nan", ".NaN", ".NAN"):
    _WORDS[_nan] = float("nan")
_FIRST_OF_WORDS = frozenset(word[:1] for word in _WORDS)
_FIRST_OF_NUMBERS = frozenset("+-.0123456789")


def scalar(value: str, tag: str | None, *, plain: bool) -> Any:
    """A scalar's value; only plain ones and those with a tag of YAML's own are anything but text."""
    if tag is not None:
        return _tagged(tag, value)
    return _plain(value) if plain else value


def _plain(value: str) -> Any:
    first = value[:1]
    if first in _FIRST_OF_WORDS:
        found = _WORDS.get(value, _WORDS)
        if found is not _WORDS:
            return found
    return _number(value) if first in _FIRST_OF_NUMBERS else value


def _tagged(tag: str, value: str) -> Any:
    if tag.startswith("tag:yaml.org,2002:") and not tag.endswith((":str", ":binary", ":timestamp")):
        return _plain(value)
    return value


def _number(value: str) -> Any:
    """A number as goyaml reads it: `012` is octal, `1_000` a thousand, `1:30` text."""
    digits = value.replace("_", "")
    if len(digits) > 64:
        return value
    whole = _INTEGER.fullmatch(digits)
    if whole is not None:
        sign, hexadecimal, octal, binary, decimal = whole.groups()
        if decimal is not None:
            number = int(decimal)
        elif hexadecimal is not None:
            number = int(hexadecimal, 16)
        elif octal is not None:
            number = int(octal, 8)
        else:
            number = int(binary, 2)
        return -number if sign == "-" else number
    if _FLOAT.fullmatch(digits):
        return float(digits)
    return value
