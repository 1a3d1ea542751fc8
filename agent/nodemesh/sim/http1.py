"""Messages of HTTP/1.1 as the simulator's clients and upstreams read and write them."""

from __future__ import annotations

from collections.abc import Iterable

#: Statuses that have no body (RFC 9110 section 6.4.1).
BODILESS = (204, 304)

#: A body that lasts until the connection ends (RFC 9112 section 6.3).
UNTIL_END = -1

Fields = list[tuple[bytes, bytes]]


class Http1Message:
    """A request or response; names of fields are in lower case."""

    __slots__ = ("start", "fields", "body", "trailers")

    def __init__(self, start: bytes, fields: Fields) -> None:
        self.start = start
        self.fields = fields
        self.body = b""
        self.trailers: Fields = []

    @property
    def status(self) -> int:
        return int(self.start.split(b" ", 2)[1])

    def field(self, name: bytes) -> bytes:
        """The first value; empty where there is none."""
        return next((value for each, value in self.fields if each == name), b"")


class Http1Reader:
    """Takes bytes, gives complete messages. Of responses, interim ones are left out; `bodiless` says that the next one
    answers a HEAD."""

    def __init__(self, responses: bool) -> None:
        self.bodiless = False
        self._responses = responses
        self._data = b""
        self._message: Http1Message | None = None
        self._left = 0
        self._chunked = False

    def feed(self, data: bytes) -> list[Http1Message]:
        self._data += data
        found = []
        while (message := self._next()) is not None:
            if not self._responses or message.status >= 200 or message.status == 101:
                found.append(message)
        return found

    def end(self) -> Http1Message | None:
        """The connection has ended: the message that lasted until then."""
        message = self._message
        if message is None or self._chunked or self._left != UNTIL_END:
            return None
        message.body, self._data, self._message = self._data, b"", None
        return message

    def _next(self) -> Http1Message | None:
        message = self._message
        if message is None:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                return None
            message = self._message = read_head(self._data[:end])
            self._data = self._data[end + 4 :]
            self._chunked = message.field(b"transfer-encoding").lower().endswith(b"chunked")
            self._left = self._length(message)
        if self._chunked:
            if not self._read_chunks(message):
                return None
        elif self._left == UNTIL_END or len(self._data) < self._left:
            return None
        else:
            message.body, self._data = self._data[: self._left], self._data[self._left :]
        self._message = None
        return message

    def _length(self, message: Http1Message) -> int:
        if self._responses and (self.bodiless or message.status < 200 or message.status in BODILESS):
            self._chunked = False
            self.bodiless = self.bodiless and message.status < 200
            return 0
        length = message.field(b"content-length")
        if length:
            return int(length)
        return UNTIL_END if self._responses and not self._chunked else 0

    def _read_chunks(self, message: Http1Message) -> bool:
        """Whether the last chunk and the trailers behind it have come."""
        while True:
            line, found, rest = self._data.partition(b"\r\n")
            if not found:
                return False
            size = int(line.partition(b";")[0], 16)
            if size == 0:
                section, found, after = (b"\r\n" + rest).partition(b"\r\n\r\n")
                if not found:
                    return False
                message.trailers = read_lines(section.split(b"\r\n")[1:])
                self._data = after
                return True
            if len(rest) < size + 2:
                return False
            message.body += rest[:size]
            self._data = rest[size + 2 :]


def read_head(data: bytes) -> Http1Message:
    start, *lines = data.split(b"\r\n")
    return Http1Message(start, read_lines(lines))


def read_lines(lines: Iterable[bytes]) -> Fields:
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


def write(start: bytes, fields: Iterable[tuple[bytes, bytes]], body: bytes = b"") -> bytes:
    return b"".join((start, b"\r\n", *(b"%b: %b\r\n" % pair for pair in fields), b"\r\n", body))
