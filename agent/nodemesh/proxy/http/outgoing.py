"""A request as an upstream gets it, and what its call may do: a value, made once for all tries and all copies."""

from __future__ import annotations

from typing import Final

from ...routing.decision import Retry
from .head import Edits, RequestHead
from .retry import NO_RETRY
from .try_lines import ATTEMPT_COUNT, EXPECTED_TIMEOUT


class Outgoing:
    """`path` has the query with it. `edits` are the rules' and the proxy's changes; each try puts its number and time
    there when it is sent, unless a rule has its own word (`counted`, `timed`)."""

    __slots__ = (
        "head", "path", "authority", "edits", "counted", "timed", "timeout", "retry", "key", "wanted", "dialled",
    )  # fmt: skip

    def __init__(
        self,
        head: RequestHead,
        path: bytes,
        authority: bytes,
        edits: Edits,
        *,
        timeout: float,
        retry: Retry,
        key: int | None,
        wanted: tuple[str, int] | None,
        dialled: tuple[str, int] | None,
    ) -> None:
        self.head: Final = head
        self.path: Final = path
        self.authority: Final = authority
        self.edits: Final = edits
        self.counted: Final = ATTEMPT_COUNT in edits
        self.timed: Final = EXPECTED_TIMEOUT in edits
        self.timeout: Final = timeout  # for all tries together, from the request's end; 0: none
        self.retry: Final = retry
        self.key: Final = key  # of consistent hashing
        self.wanted: Final = wanted  # the endpoint of a session, for the first try
        self.dialled: Final = dialled  # by the client

    def copy(self) -> Outgoing:
        """As a mirror gets it: any endpoint will do, and once."""
        return Outgoing(
            self.head, self.path, self.authority, self.edits.copy(), timeout=self.timeout, retry=NO_RETRY, key=None,
            wanted=None, dialled=self.dialled,
        )  # fmt: skip
