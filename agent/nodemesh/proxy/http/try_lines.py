"""The lines that tell an upstream which try this is, and how long it has (Envoy's x-envoy-attempt-count and
x-envoy-expected-rq-timeout-ms)."""

from __future__ import annotations

from typing import Final

from ...bounded import Bounded

EXPECTED_TIMEOUT: Final = b"x-envoy-expected-rq-timeout-ms"

#: Its lines by seconds, as they were made before: mostly a rule's timeout.
EXPECTED_LINES: Final[Bounded[float, bytes]] = Bounded(256)

ATTEMPT_COUNT: Final = b"x-envoy-attempt-count"


def attempt_line(count: int) -> bytes:
    """Which try this is."""
    return b"%b: %d" % (ATTEMPT_COUNT, count)


#: The lines for as many tries as one usually has.
ATTEMPT_LINES: Final = [attempt_line(count) for count in range(16)]


def expected_line(seconds: float) -> bytes:
    """How long the upstream has, where `EXPECTED_LINES` does not have that yet."""
    return EXPECTED_LINES.keep(seconds, b"%b: %d" % (EXPECTED_TIMEOUT, int(seconds * 1000.0 + 0.5)))
