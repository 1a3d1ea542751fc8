"""HPACK's tables: the static one, and a connection's own (RFC 7541 section 2.3 and appendix A)."""

from __future__ import annotations

from typing import Final

from .field import Field

STATIC_PAIRS: Final[list[tuple[bytes, bytes]]] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
]

STATIC_SIZE: Final = 61

#: By index, which begins with 1.
STATIC: Final = [Field(b"", b""), *[Field(name, value) for name, value in STATIC_PAIRS]]


class Table:
    """A dynamic table: the newest entry is the last of `entries`, and has the lowest index."""

    __slots__ = ("entries", "size", "limit", "version")

    def __init__(self, limit: int) -> None:
        self.entries: list[Field] = []
        self.version = 0  # as long as it is the same, an index means the same
        self.size = 0  # of all entries
        self.limit = limit

    def get(self, index: int) -> Field | None:
        """The entry at an index of both tables, None where there is none."""
        if index <= STATIC_SIZE:
            return STATIC[index] if index > 0 else None
        position = len(self.entries) + STATIC_SIZE - index
        return self.entries[position] if position >= 0 else None

    def add(self, field: Field) -> None:
        """One more entry; one that is larger than the table empties it (RFC 7541 section 4.4)."""
        entries, limit = self.entries, self.limit
        size = self.size + field.size
        while size > limit and entries:
            size -= entries.pop(0).size
        if size > limit:
            size = 0
        else:
            entries.append(field)
        self.size = size
        self.version += 1

    def extend(self, fields: list[Field], size: int) -> None:
        """Several entries at once, of so many bytes together."""
        if size > self.limit:  # some of them push others of them out
            for field in fields:
                self.add(field)
            return
        self.entries += fields
        self.size += size
        self.version += 1
        if self.size > self.limit:
            self.evict(self.limit)

    def resize(self, limit: int) -> None:
        self.limit = limit
        self.version += 1
        self.evict(limit)

    def evict(self, limit: int) -> int:
        """Drop the oldest entries until the others take no more than that; returns how many went."""
        size = self.size
        count = 0
        for entry in self.entries:
            if size <= limit:
                break
            size -= entry.size
            count += 1
        if count:
            del self.entries[:count]
            self.size = size
            self.version += 1
        return count
