"""When to start a process again: at once after a long life, later and later where it dies young."""

from __future__ import annotations


class RestartBackoff:
    """Times are seconds of the caller's clock."""

    FIRST = 0.1
    LIMIT = 5.0
    LONG_LIFE = 10.0

    __slots__ = ("_delay", "_began")

    def __init__(self) -> None:
        self._delay = 0.0
        self._began = 0.0

    def began(self, now: float) -> None:
        """The process was started."""
        self._began = now

    def died(self, now: float) -> float:
        """The process has died; answers when to start it again."""
        if now - self._began >= self.LONG_LIFE:
            self._delay = 0.0
        at = now + self._delay
        self._delay = min(self.LIMIT, self._delay * 2 or self.FIRST)
        return at
