"""Who uses a stream: what it calls when something comes, in the way that `Role` says."""

from __future__ import annotations

from typing import Final

from mypy_extensions import mypyc_attr

from .fault import Http2Fault
from .head import Head


@mypyc_attr(allow_interpreted_subclasses=True)
class Receiver:
    """One stream's user: an exchange's client side, or a call's upstream side. After `failed`, or when both sides have
    said END_STREAM, nothing more comes."""

    __slots__ = ()

    def head(self, head: Head, ended: bool) -> None:
        """A request, or the final response. `ended`: there is no body."""
        raise NotImplementedError

    def informed(self, head: Head) -> None:
        """An interim response (1xx)."""

    def oversized(self, head: Head, fault: Http2Fault, ended: bool) -> None:
        """Server: a request's head is over the limits: only its pseudo fields are known, as far as they came. The
        stream is open, for an answer (431)."""
        raise NotImplementedError

    def data(self, data: bytes, ended: bool) -> bool:
        """Part of the body, which may be empty when it ends. Tells whether it was taken at once; what is taken later
        goes to `Http2Connection.taken`."""
        raise NotImplementedError

    def trailers(self, trailers: list[bytes]) -> None:
        """The body has ended with these lines, which others may have as well."""
        raise NotImplementedError

    def drained(self) -> None:
        """The peer's windows took all that waited in the stream, and more may be sent."""

    def failed(self, fault: Http2Fault) -> None:
        """The stream is over before its end: reset by the peer, refused by us, or with its connection."""
        raise NotImplementedError


class Nobody(Receiver):
    """Before and after a stream has a user: nothing is to be told."""

    __slots__ = ()

    def head(self, head: Head, ended: bool) -> None:
        pass

    def oversized(self, head: Head, fault: Http2Fault, ended: bool) -> None:
        pass

    def data(self, data: bytes, ended: bool) -> bool:
        return True

    def trailers(self, trailers: list[bytes]) -> None:
        pass

    def failed(self, fault: Http2Fault) -> None:
        pass


NOBODY: Final = Nobody()
