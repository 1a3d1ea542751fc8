"""Formats of the access log: texts of Envoy's command operators, alone or as the members of a JSON object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from .commands import COMMANDS, FIELD, MUST, PLAIN, Command, FormatError, Grammar, commands

#: The operators of a log: besides those of header values Envoy's extensions of the log, and our own.
OPERATORS: Mapping[str, Grammar] = {
    **COMMANDS,
    "CEL": Grammar(MUST, True),
    "REQ_WITHOUT_QUERY": FIELD,
    **dict.fromkeys(("DESTINATION_WORKLOAD", "RULE", "SOURCE_NAMESPACE", "SOURCE_WORKLOAD"), PLAIN),
}

#: Operators that name fields, which a record has to keep.
OF_FIELDS = frozenset(name for name, grammar in OPERATORS.items() if grammar is FIELD)

#: What a format may keep of one request beside what is recorded anyway: names of fields.
FIELDS_LIMIT = 64


def operators(text: str) -> Iterator[Command]:
    """The operators of a format in their order. Raises FormatError."""
    return commands(text, OPERATORS)


def formats(text: str, json: bool) -> dict[str, str]:
    """The texts of a format by their keys: of JSON an object's members, else the one under an empty key. Raises
    FormatError."""
    if not json:
        return {"": text}
    try:
        return msgspec.json.decode(text, type=dict[str, str])
    except msgspec.DecodeError as error:
        raise FormatError(f"the JSON format is to be an object of strings: {error}") from None


def check_format(text: str, json: bool) -> None:
    """Raises FormatError."""
    names: set[str] = set()
    for each in formats(text, json).values():
        try:
            for operator in operators(each):
                if operator.name in OF_FIELDS:
                    names.update(operator.argument.upper().split("?"))
        except FormatError as error:
            raise FormatError(str(error), max(0, text.find(each)) + error.offset if json else error.offset) from None
    if len(names) > FIELDS_LIMIT:
        raise FormatError(
            f"the format names {len(names)} fields of requests and responses; up to {FIELDS_LIMIT} are kept"
        )
