"""Istio's regular expressions: RE2 on bytes, in linear time, with the answers of recent subjects kept."""

from __future__ import annotations

import re2

#: How many answers each pattern keeps; beyond that it starts anew.
MAX_REMEMBERED = 1024
#: Longer subjects are not kept: they rarely repeat.
MAX_SUBJECT = 256


class RegexError(ValueError):
    """The pattern is not RE2's."""


class Pattern:
    """A compiled pattern."""

    __slots__ = ("pattern", "_regex", "_answers")

    def __init__(self, pattern: str) -> None:
        options = re2.Options()
        options.log_errors = False
        self.pattern = pattern
        try:
            self._regex = re2.compile(pattern.encode(), options)  # type: ignore[no-untyped-call]
        except re2.error as error:
            reason = error.args[0] if error.args else error
            text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            raise RegexError(f"{pattern!r} is not a regular expression of RE2: {text}") from None
        self._answers: dict[bytes, bool] = {}

    def fullmatch(self, subject: bytes) -> bool:
        """Whether the whole subject matches."""
        answer = self._answers.get(subject)
        if answer is None:
            answer = self._regex.fullmatch(subject) is not None
            if len(subject) <= MAX_SUBJECT:
                if len(self._answers) >= MAX_REMEMBERED:
                    self._answers.clear()
                self._answers[subject] = answer
        return answer

    def sub(self, replacement: bytes, subject: bytes) -> bytes:
        """The subject with every match replaced; `\\1` in the replacement is the first group."""
        return bytes(self._regex.sub(replacement, subject))


def compile(pattern: str) -> Pattern:
    return Pattern(pattern)
