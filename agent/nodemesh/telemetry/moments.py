"""Times as Envoy's command operators write them (its `DateFormatter`): formats of strftime, and parts of a second."""

from __future__ import annotations

import re
import time
from typing import Final

#: A conversion of strftime; of %f the digits, nine where it says none.
_CONVERSION: Final = re.compile(r"%(?:([1-9])?(f)|(.))", re.DOTALL)


def moment(pattern: str, when: float) -> str:
    """A time in UTC, `when` in seconds since 1970; an empty pattern is ISO's with milliseconds."""
    return formatted(pattern or "%Y-%m-%dT%H:%M:%S.%3fZ", when, time.gmtime(when), "+0000")


def local_moment(pattern: str, when: float) -> str:
    """A time in the zone of this machine; pattern and `when` are as for `moment`."""
    place = time.localtime(when)
    return formatted(pattern or "%Y-%m-%dT%H:%M:%S.%3f%z", when, place, time.strftime("%z", place))


def formatted(pattern: str, when: float, broken: time.struct_time, zone: str) -> str:
    nanoseconds = f"{int(when % 1.0 * 1e9):09d}"

    def conversion(found: re.Match[str]) -> str:
        if found[2]:
            return nanoseconds[: int(found[1] or 9)]
        if found[3] == "s":
            return str(int(when))
        if found[3] == "z":
            return zone
        return time.strftime(found[0], broken)

    return _CONVERSION.sub(conversion, pattern)
