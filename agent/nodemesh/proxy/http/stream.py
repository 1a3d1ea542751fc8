"""A request's place upstream, and what it answers to: an HTTP/1.1 connection plays the stream while it carries the
request, and so does one stream of an HTTP/2 connection."""

from __future__ import annotations

from mypy_extensions import trait

from ...reasons import Reason
from ...routing.decision import Approach
from ..transport import Buffer, Transport
from .head import Edits, RequestHead, ResponseHead


class Requester:
    """Who has sent a request upstream. After the call that ends it (`responded` or `response_data` with `ended`, or
    `failed`) the stream is no longer the requester's."""

    __slots__ = ()

    def proceed(self) -> bool:
        """Having waited for a stream: one may be had now, ask again. False where there is still none."""
        raise NotImplementedError

    def redirected(self) -> None:
        """Having waited for a stream: that endpoint is gone, choose another one."""
        raise NotImplementedError

    def waited_too_long(self) -> None:
        """Having waited for a stream: there was none in time."""
        raise NotImplementedError

    def informed(self, head: ResponseHead) -> None:
        """An interim response (1xx) has come."""

    def responded(self, head: ResponseHead, data: Buffer, ended: bool) -> None:
        """The response's head has come, with the part of its body that came along."""
        raise NotImplementedError

    def response_data(self, data: Buffer, ended: bool, trailers: list[bytes]) -> None:
        """More of the body."""
        raise NotImplementedError

    def switched(self, head: ResponseHead, transport: Transport, data: bytes) -> None:
        """The stream speaks another protocol from here on, over this transport. It stays the requester's until
        `Stream.cancel`."""
        raise NotImplementedError

    def failed(self, reason: Reason, detail: str) -> None:
        """The stream broke before the response was complete."""
        raise NotImplementedError

    def upstream_drained(self) -> None:
        """The upstream takes more of the request's body."""


@trait
class Stream:
    """`request` comes first, then the rest of the body by `send` and `finish`; `cancel` at any time."""

    __slots__ = ()

    protocol: bytes  # its version of HTTP, as a log shows it
    transport: Transport  # of the connection
    reused: bool  # before `request`: the connection has carried another one

    def request(
        self,
        requester: Requester,
        head: RequestHead,
        path: bytes,
        authority: bytes,
        edits: Edits,
        data: Buffer,
        ended: bool,
        trailers: list[bytes],
    ) -> None:
        """Send a request, as much of it as there is."""
        raise NotImplementedError

    def send(self, data: Buffer) -> None:
        """More of the request's body."""
        raise NotImplementedError

    def finish(self, trailers: list[bytes]) -> None:
        """The request's body is complete."""
        raise NotImplementedError

    def cancel(self) -> None:
        """Nobody wants an answer any more; the requester hears nothing more."""
        raise NotImplementedError

    def pause(self) -> None:
        """Take no more of the response for now."""
        raise NotImplementedError

    def resume(self) -> None:
        """Take more of it again."""
        raise NotImplementedError

    @property
    def pending(self) -> int:
        """Bytes of the request that wait to be written."""
        raise NotImplementedError

    def is_stale(self) -> bool:
        """Whether the peer has closed the connection, though nobody has been told yet. Costs a system call."""
        raise NotImplementedError

    @property
    def untouched(self) -> bool:
        """Whether the peer may have closed an idle connection before it saw this request: one that was reused and has
        brought nothing of a response."""
        raise NotImplementedError

    @property
    def unprocessed(self) -> bool:
        """Whether the peer said that it has not acted on the request, whatever its method (RFC 9113 section 8.7)."""
        return False


@trait
class Pooled:
    """A connection to an endpoint, as its pool knows it. It was made as `approach` says, for the TLS server `name`;
    `lane` is the pod's; `requests` were sent so far; times are the clock's."""

    __slots__ = ()

    name: str
    approach: Approach
    lane: int
    requests: int
    opened: float
    idle_since: float

    def became_idle(self, now: float) -> None:
        """It is idle from now on, unless it carries more."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the connection up; nobody is told."""
        raise NotImplementedError


@trait
class Exclusive(Pooled, Stream):
    """A connection that carries one request at a time: it plays the stream."""

    __slots__ = ()


@trait
class Multiplexed(Pooled):
    """A connection that carries several requests at once."""

    __slots__ = ()

    @property
    def busy(self) -> bool:
        """Whether any is under way."""
        raise NotImplementedError

    def has_room(self) -> bool:
        """Whether it takes one more."""
        raise NotImplementedError

    @property
    def tunnels(self) -> bool:
        """Whether a stream of it may change to another protocol (RFC 8441)."""
        raise NotImplementedError

    def stream(self) -> Stream:
        """A place for one more."""
        raise NotImplementedError

    def retire(self) -> None:
        """Take no more requests, and close when the last one is over."""
        raise NotImplementedError
