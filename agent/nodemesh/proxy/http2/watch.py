"""What a peer makes us do without a use for anyone is counted here, and ends its connection when it is too much.

Rapid reset (CVE-2023-44487), MadeYouReset (CVE-2025-8671), floods of PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty and
unknown frames (CVE-2019-9512 to -9518). Each count has its fellow that explains it: streams, or frames with data."""

from __future__ import annotations

from typing import Final

from ...reasons import Reason
from .codes import ENHANCE_YOUR_CALM
from .fault import ConnectionFault

#: Streams that the client ends before their answer has begun, or has us end: as many at once as it may have open, since
#: all its calls may come to their deadline together, and this many at least; so many per second come back.
RESETS: Final = 100
RESETS_PER_SECOND: Final = 100.0

#: Seconds after which a reset is no attack, but a call that took too long (Envoy's
#: premature_reset_min_stream_lifetime_seconds).
PREMATURE: Final = 1.0

#: PING and GOAWAY: so many at once, coming back within ten seconds, or by frames with data, which clients of a
#: bandwidth estimator answer with a PING each. SETTINGS, which may change the windows of all streams: the same, but
#: data brings none back.
QUESTIONS: Final = 100
QUESTIONS_PER_SECOND: Final = 10.0

#: Frames without payload, one after another.
EMPTY_FRAMES: Final = 10

#: PRIORITY, unknown types and frames on closed streams: for each stream (Envoy's
#: max_inbound_priority_frames_per_stream).
IDLE_FRAMES: Final = 100

#: WINDOW_UPDATE: for each stream, and for each DATA frame sent (Envoy's
#: max_inbound_window_update_frames_per_data_frame_sent).
UPDATES: Final = 100
UPDATES_PER_STREAM: Final = 2
UPDATES_PER_DATA: Final = 10


class Allowance:
    """So many at once, and `rate` more per second."""

    __slots__ = ("size", "rate", "left", "since")

    def __init__(self, size: int, rate: float, now: float) -> None:
        self.size = size
        self.rate = rate
        self.left = float(size)
        self.since = now

    def take(self, now: float) -> bool:
        """One more; tells whether it is still within what is allowed."""
        self.left = min(float(self.size), self.left + (now - self.since) * self.rate)
        self.since = now
        self.left -= 1.0
        return self.left >= 0.0

    def earn(self, count: int) -> None:
        """So many come back."""
        self.left = min(float(self.size), self.left + count)


class Watch:
    """One connection's counts. What explains the rest is counted by whoever sees it: `streams` that were opened, frames
    with data that have come (`filled`), and DATA frames that were sent."""

    __slots__ = (
        "streams", "filled", "sent", "_resets", "_questions", "_explained", "_settings", "_empty", "_since", "_idle",
        "_updates",
    )  # fmt: skip

    def __init__(self, streams: int, now: float) -> None:
        self.streams = 0
        self.filled = 0
        self.sent = 0
        self._resets = Allowance(max(RESETS, streams), RESETS_PER_SECOND, now)
        self._questions = Allowance(QUESTIONS, QUESTIONS_PER_SECOND, now)
        self._explained = 0  # questions that frames with data have brought back
        self._settings = Allowance(QUESTIONS, QUESTIONS_PER_SECOND, now)
        self._empty = 0  # in a row
        self._since = 0  # and what `filled` was then
        self._idle = 0
        self._updates = 0

    def reset(self, now: float) -> None:
        """A stream ended before its answer began, by the peer's reset or by its fault. Raises ConnectionFault."""
        if not self._resets.take(now):
            raise flood(Reason.HTTP2_RESET_FLOOD, "too many streams reset")

    def asked(self, now: float) -> None:
        """PING or GOAWAY. Raises ConnectionFault."""
        explained = self.filled + self.sent
        self._questions.earn(explained - self._explained)
        self._explained = explained
        if not self._questions.take(now):
            raise flood(Reason.HTTP2_CONTROL_FLOOD, "too many PING and GOAWAY frames")

    def configured(self, now: float) -> None:
        """SETTINGS. Raises ConnectionFault."""
        if not self._settings.take(now):
            raise flood(Reason.HTTP2_CONTROL_FLOOD, "too many SETTINGS frames")

    def empty(self) -> None:
        """A frame without payload that ends nothing. Raises ConnectionFault."""
        if self._since != self.filled:
            self._since = self.filled
            self._empty = 0
        self._empty += 1
        if self._empty > EMPTY_FRAMES:
            raise flood(Reason.HTTP2_EMPTY_FRAMES_FLOOD, "too many empty frames")

    def idle(self) -> None:
        """A frame without a use. Raises ConnectionFault."""
        self._idle += 1
        if self._idle > IDLE_FRAMES * (1 + self.streams):
            raise flood(Reason.HTTP2_IDLE_FRAMES_FLOOD, "too many frames without a use")

    def updated(self) -> None:
        """WINDOW_UPDATE. Raises ConnectionFault."""
        self._updates += 1
        if self._updates > UPDATES + UPDATES_PER_STREAM * self.streams + UPDATES_PER_DATA * self.sent:
            raise flood(Reason.HTTP2_WINDOW_UPDATE_FLOOD, "too many WINDOW_UPDATE frames")


def flood(reason: Reason, text: str) -> ConnectionFault:
    return ConnectionFault(ENHANCE_YOUR_CALM, reason, text)
