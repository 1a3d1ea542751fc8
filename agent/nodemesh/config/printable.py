"""Text from outside as it may stand in a line of a log or on a terminal."""

from __future__ import annotations


def printable(value: object) -> str:
    """Text without characters that would move the cursor, colour the screen or end the line: those as escapes."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
