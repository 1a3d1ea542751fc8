"""Colons at the end of a plain scalar in a flow collection, `[2001:db8::]`: text for kubectl's parser (goyaml), the end
for libyaml. A character of the same width stands in for them while libyaml reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

#: libyaml's words for it.
_PROBLEM = "found unexpected ':'"
_COLON = re.compile(r"(?<=[^\s\"'\[\]{},]):(?=[,\[\]{}])")

#: Of Unicode's private use. A text that has it already is left as it is.
STAND_IN = "\ue03a"


def replaced(text: str, problem: str | None) -> str:
    """The text with stand-ins, where libyaml complains of such a colon; else empty. In quotes and comments they do no
    harm: all scalars get theirs back."""
    if problem != _PROBLEM or STAND_IN in text:
        return ""
    return _COLON.sub(STAND_IN, text)


def restored(get_event: Callable[[], Any]) -> Callable[[], Any]:
    """The events of such a text, with the colons in their scalars."""

    def next_event() -> Any:
        event = get_event()
        value = getattr(event, "value", None)  # only scalars have one
        if value:
            event.value = value.replace(STAND_IN, ":")
        return event

    return next_event
