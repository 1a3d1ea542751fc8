"""Plain data to a typed struct: at once where all is well, field by field with every error told where it is not."""

from __future__ import annotations

import base64
import binascii
import difflib
import functools
import math
import re
from collections.abc import Sequence
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

from .base import Base64, Duration
from .meta import Path
from .problems import Findings
from .scalars import scalar
from .yaml import YamlNode

Struct = TypeVar("Struct", bound=msgspec.Struct)

_INVALID: Any = object()
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def decode(
    data: Any, spec: type[Struct], path: Path, findings: Findings, root: YamlNode | None = None
) -> Struct | None:
    """`data` as a `spec`; None when `findings` got an error. Names may be written in snake_case and numbers as
    strings, and null is an absent field, as in protobuf's JSON form. `path` leads from `root`, the text's tree where
    there is a text, to `data`."""
    try:
        return msgspec.convert(data, spec, dec_hook=_scalar)
    except (msgspec.ValidationError, ValueError, TypeError):
        before = len(findings.items)
        value = _Explainer(findings, root).value(type_of(spec), data, path)
        return cast(Struct, value) if len(findings.items) == before else None


def _scalar(kind: type[Any], data: Any) -> Any:
    """The types that msgspec does not know; raises ValueError where `data` says none."""
    if not isinstance(data, str):
        raise ValueError("not a string")
    if issubclass(kind, Duration):
        return kind.parse(data)
    if kind is Base64:
        return _base64(data)
    raise TypeError(kind)


def _base64(text: str) -> Base64:
    padded = text + "=" * (-len(text) % 4)
    try:
        return Base64(base64.b64decode(padded.replace("-", "+").replace("_", "/"), validate=True))
    except binascii.Error:
        raise ValueError('base64 is letters, digits, "+" and "/", for instance aGVsbG8=') from None


@functools.cache
def type_of(spec: type[msgspec.Struct]) -> inspect.StructType:
    """A struct's description: its fields with their JSON names and types."""
    return cast(inspect.StructType, inspect.type_info(spec))


def snake(name: str) -> str:
    """`perTryTimeout` to `per_try_timeout`."""
    return _BOUNDARY.sub("_", name).lower()


def strip_null(kind: inspect.Type) -> inspect.Type:
    """The type behind `X | None`."""
    if isinstance(kind, inspect.UnionType):
        rest = [item for item in kind.types if not isinstance(item, inspect.NoneType)]
        return rest[0] if len(rest) == 1 else inspect.UnionType(types=tuple(rest))
    return kind


def nested(kind: inspect.Type) -> inspect.StructType | None:
    """The struct that a type is, or is a list or map of."""
    kind = strip_null(kind)
    if isinstance(kind, inspect.VarTupleType):
        kind = strip_null(kind.item_type)
    elif isinstance(kind, inspect.DictType):
        kind = strip_null(kind.value_type)
    return kind if isinstance(kind, inspect.StructType) else None


class _Explainer:
    """The slow way: decodes what can be decoded and tells each thing that cannot."""

    def __init__(self, findings: Findings, root: YamlNode | None) -> None:
        self._findings = findings
        self._root = root

    def value(self, kind: inspect.Type, data: Any, path: Path) -> Any:
        kind = strip_null(kind)
        match kind:
            case inspect.StructType():
                return self._struct(kind, data, path)
            case inspect.VarTupleType():
                return self._list(kind, data, path)
            case inspect.DictType():
                return self._map(kind, data, path)
            case inspect.StrType():
                return self._string(kind, data, path)
            case inspect.IntType():
                return self._integer(kind, data, path)
            case inspect.FloatType():
                return self._float(data, path)
            case inspect.BoolType():
                return data if isinstance(data, bool) else self._wrong("true or false", data, path)
            case inspect.EnumType():
                return self._enum(kind, data, path)
            case inspect.CustomType():
                return self._custom(kind.cls, data, path)
            case inspect.BytesType():
                return self._custom(Base64, data, path)
            case inspect.AnyType():
                return data
            case _:  # int | str: a port by number or by name
                good = isinstance(data, int | str) and not isinstance(data, bool)
                return data if good else self._wrong("a number or a name", data, path)

    def _struct(self, kind: inspect.StructType, data: Any, path: Path) -> Any:
        if not isinstance(data, dict):
            names = ", ".join(field.encode_name for field in kind.fields[:4])
            return self._wrong(f"an object with fields like {names}", data, path)
        fields = {field.encode_name: field for field in kind.fields}
        snakes = {snake(name): name for name in fields}
        values: dict[str, Any] = {}
        for key, item in data.items():
            name = key if key in fields else snakes.get(key)
            if name is None:
                if kind.forbid_unknown_fields:
                    self._unknown(key, kind, data, path)
                continue
            if key != name and name in data:
                self._findings.error("duplicate-key", (*path, key), f"`{key}` is {name} a second time; remove one")
                continue
            if item is None:
                continue  # protobuf's JSON: null is an absent field
            value = self.value(fields[name].type, item, (*path, name))
            if value is not _INVALID:
                values[fields[name].name] = value
        for field in kind.fields:
            if field.required and field.name not in values and data.get(field.encode_name) is None:
                message = f"{field.encode_name} is required here"
                self._findings.error("missing-field", (*path, field.encode_name), message)
        try:
            return kind.cls(**values)
        except TypeError:  # a required field is missing or invalid, and that has been told
            return _INVALID

    def _unknown(self, key: str, kind: inspect.StructType, data: dict[str, Any], path: Path) -> None:
        names = [field.encode_name for field in kind.fields]
        message = f"unknown field `{key}`"
        owner = next((field for field in kind.fields if _has(nested(field.type), key)), None)
        by_folded = {name.lower().replace("_", ""): name for name in names}
        close = difflib.get_close_matches(key.lower().replace("_", ""), by_folded, 1, 0.7)
        if owner is not None and (not close or owner.encode_name in data):
            message += f"; it belongs inside `{owner.encode_name}`, indent it further"
        elif close:
            message += f"; did you mean `{by_folded[close[0]]}`?"
        else:
            message += f"; known here: {', '.join(names)}"
        self._findings.error("unknown-field", (*path, key), message)

    def _list(self, kind: inspect.VarTupleType, data: Any, path: Path) -> Any:
        if not isinstance(data, list | tuple):
            return self._wrong('a list (each element behind "- ")', data, path)
        values = []
        for index, item in enumerate(data):
            if item is None:
                self._null((*path, index))
                continue
            value = self.value(kind.item_type, item, (*path, index))
            if value is not _INVALID:
                values.append(value)
        return tuple(values) if self._fits(kind, len(data), "elements", path) else _INVALID

    def _map(self, kind: inspect.DictType, data: Any, path: Path) -> Any:
        if not isinstance(data, dict):
            return self._wrong("a map of names to values", data, path)
        values = {}
        for key, item in data.items():
            if item is None:
                self._null((*path, key))
                continue
            value = self.value(kind.value_type, item, (*path, key))
            if value is not _INVALID:
                values[key] = value
        return values if self._fits(kind, len(data), "entries", path) else _INVALID

    def _string(self, kind: inspect.StrType, data: Any, path: Path) -> Any:
        if not isinstance(data, str):
            return self._wrong("a string", data, path)
        if not self._fits(kind, len(data), "characters", path):
            return _INVALID
        if kind.pattern is not None and re.search(kind.pattern, data) is None:
            right = kind.pattern.removeprefix("\\A").removesuffix("\\Z")
            self._findings.bad_value("bad-value", path, f"`{data[:64]}` is not right here; it has to match {right}")
            return _INVALID
        return data

    def _fits(self, kind: Any, length: int, unit: str, path: Path) -> bool:
        """Whether the length is within the bounds that the field has."""
        low, high = kind.min_length or 0, kind.max_length
        if low <= length and (high is None or length <= high):
            return True
        right = f"at least {low}" if high is None else f"{low} to {high}" if low else f"at most {high}"
        code = "too-few" if length < low else "too-many"
        self._findings.bad_value(code, path, f"{path[-1]} has {length} {unit}; right is {right}")
        return False

    def _integer(self, kind: inspect.IntType, data: Any, path: Path) -> Any:
        number = data
        if isinstance(data, str):
            try:
                number = float(data) if not data.lstrip("+-").isdigit() else int(data[:32])
            except ValueError:
                return self._wrong("a whole number", data, path)
        if isinstance(number, bool) or not isinstance(number, int | float):
            return self._wrong("a whole number", data, path)
        if isinstance(number, float):
            if not number.is_integer():
                return self._wrong("a whole number", data, path)
            number = int(number)
        low, high = kind.ge, kind.le
        if (low is not None and number < low) or (high is not None and number > high):
            right = (
                f"{low} to {high}"
                if None not in (low, high)
                else f"{low} or more"
                if high is None
                else f"{high} or less"
            )
            message = f"{number} is out of range; right is {right}"
            self._findings.bad_value("out-of-range", path, message)
            return _INVALID
        return number

    def _float(self, data: Any, path: Path) -> Any:
        number = data
        if isinstance(data, str):
            try:
                number = float(data)
            except ValueError:
                return self._wrong("a number", data, path)
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            return self._wrong("a number", data, path)
        return float(number)

    def _enum(self, kind: inspect.EnumType, data: Any, path: Path) -> Any:
        values = [str(member.value) for member in kind.cls]
        if data in values:
            return kind.cls(data)
        if not isinstance(data, str):
            words = [value for value in values if isinstance(data, bool) and scalar(value, None, plain=True) is data]
            return self._wrong(f"one of {', '.join(values)}", data, path, words)
        close = difflib.get_close_matches(data.upper(), {value.upper(): value for value in values}, 1, 0.6)
        hint = f"did you mean {next(v for v in values if v.upper() == close[0])}? Right" if close else "right"
        message = f"`{data}` is not a value of {path[-1]}; {hint} is one of {', '.join(values)}"
        self._findings.bad_value("bad-enum", path, message)
        return _INVALID

    def _custom(self, kind: type[Any], data: Any, path: Path) -> Any:
        if not isinstance(data, str):
            shown = 'a duration such as "5s"' if issubclass(kind, Duration) else "a base64 string"
            return self._wrong(shown, data, path)
        try:
            return _scalar(kind, data)
        except ValueError as error:
            code = "bad-duration" if issubclass(kind, Duration) else "bad-base64"
            self._findings.bad_value(code, path, f"`{data[:64]}` is not right: {error}")
            return _INVALID

    def _null(self, path: Path) -> None:
        message = "this element is empty (null); remove it, or indent what belongs to it further"
        self._findings.error("null-element", path, message)

    def _wrong(self, wanted: str, data: Any, path: Path, words: Sequence[str] = ()) -> Any:
        """`words` are values that YAML takes for the boolean that `data` is."""
        message = f"expected {wanted}, got {_name_of(data)}"
        if wanted == "a string" and isinstance(data, bool | int | float):
            message += f'; put it in quotes: "{self._as_written(data, path)}"'
        elif words:
            message += f'; YAML takes a bare {words[0]} for that, put it in quotes: "{words[0]}"'
        elif wanted == "true or false" and isinstance(data, str) and data.lower() in ("true", "false"):
            message += f"; write {data.lower()} without quotes"
        elif isinstance(data, int) and wanted.startswith("a duration") and not isinstance(data, bool):
            message += f"; with its unit it is {data}s"
        elif isinstance(data, int | float) and wanted == "an object with fields like value":
            message += f"; write `{path[-1]}: {{value: {data}}}`"
        self._findings.bad_value("wrong-type", path, message)
        return _INVALID

    def _as_written(self, data: bool | int | float, path: Path) -> str:
        found = self._root.find(path) if self._root is not None else None
        return found[2].text if found is not None and found[2].text is not None else _written(data)


def _has(kind: inspect.StructType | None, name: str) -> bool:
    return kind is not None and any(field.encode_name == name for field in kind.fields)


def _written(data: Any) -> str:
    return ("true" if data else "false") if isinstance(data, bool) else str(data)


def _name_of(data: Any) -> str:
    match data:
        case bool():
            return f"the boolean {_written(data)}"
        case int() | float():
            return f"the number {data}"
        case str():
            return f"the string {data[:64]!r}" if data else "an empty string"
        case None:
            return "nothing (null)"
        case dict():
            return "an object"
        case _:
            return "a list"
