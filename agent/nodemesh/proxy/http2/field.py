"""A field as HPACK knows it, and what it is to HTTP: worked out once, when it comes as a literal."""

from __future__ import annotations

import re
from typing import Final

from ...bounded import Bounded

# What a field is. Small numbers, so that heads compare integers.
PLAIN: Final = 0
METHOD: Final = 1
SCHEME: Final = 2
AUTHORITY: Final = 3
PATH: Final = 4
PROTOCOL: Final = 5
STATUS: Final = 6
LAST_PSEUDO: Final = 6  # up to here (and not PLAIN) they are pseudo fields that exist
HOST: Final = 7
COOKIE: Final = 8
CONTENT_LENGTH: Final = 9
TE: Final = 10
DROPPED: Final = 11
MALFORMED: Final = 12

KINDS: Final[dict[bytes, int]] = {
    b":method": METHOD,
    b":scheme": SCHEME,
    b":authority": AUTHORITY,
    b":path": PATH,
    b":protocol": PROTOCOL,
    b":status": STATUS,
    b"host": HOST,
    b"cookie": COOKIE,
    b"content-length": CONTENT_LENGTH,
    b"te": TE,
    b"http2-settings": DROPPED,
    # a connection's own, which HTTP/2 does not have (RFC 9113 section 8.2.2)
    b"connection": MALFORMED,
    b"keep-alive": MALFORMED,
    b"proxy-connection": MALFORMED,
    b"transfer-encoding": MALFORMED,
    b"upgrade": MALFORMED,
}

#: A token without upper-case letters (RFC 9113 section 8.2.1).
NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+")

#: What no value may have (RFC 9110 section 5.5): all controls but the tab.
BAD_VALUE: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")

#: Without userinfo (RFC 9113 section 8.3.1), and without what would end or split an authority.
AUTHORITY_RULE: Final = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=%:\[\]]+")

#: The values that fields of some kinds may have: so a field that comes again by its index is not looked at again.
RULES: Final[dict[int, re.Pattern[bytes]]] = {
    METHOD: TOKEN,
    SCHEME: re.compile(rb"[A-Za-z][A-Za-z0-9+.\-]*"),
    AUTHORITY: AUTHORITY_RULE,
    HOST: AUTHORITY_RULE,
    PATH: re.compile(rb"/[\x21-\x7e\x80-\xff]*|\*"),  # a space would split a request line of HTTP/1.1
    PROTOCOL: TOKEN,
    STATUS: re.compile(rb"[1-9][0-9][0-9]"),
    CONTENT_LENGTH: re.compile(rb"[0-9]{1,18}"),  # no body has more digits
    TE: re.compile(rb"trailers"),  # RFC 9113 section 8.2.2
}

#: Secrets: a table that an attacker can try values against would tell them (RFC 7541 section 7.1.3).
SECRET: Final = frozenset({b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"})

#: What begins no literal (RFC 7541 section 6.2).
UNWRITTEN: Final = b"\xff"

#: What each entry of a table costs beside its strings (RFC 7541 section 4.1).
OVERHEAD: Final = 32

#: Names that were seen, with their kinds; longer ones are not kept.
SEEN: Final[Bounded[bytes, int]] = Bounded(1024, 64)


class Field:
    """One field. `pair` is its name and value for whoever reads heads, `size` what it costs in a table or a list. A
    field that may not be in HTTP/2 is MALFORMED: who sees it knows only that. `written` are the bytes of the literal
    that it was, where these mean the same for any table, and may be remembered; else UNWRITTEN."""

    __slots__ = ("name", "value", "kind", "pair", "size", "never", "written")

    def __init__(self, name: bytes, value: bytes, never: bool = False) -> None:
        self.size = len(name) + len(value) + OVERHEAD
        kind = SEEN.found.get(name)
        if kind is None:
            kind = kind_of(name)
        if BAD_VALUE.search(value) is not None:
            kind = MALFORMED
        elif value and (value[0] <= 32 or value[-1] <= 32):
            value = value.strip(b" \t")  # means nothing (RFC 9110 section 5.5), and would in HTTP/1.1 be gone as well
        if PLAIN < kind <= TE:
            rule = RULES.get(kind)
            if rule is not None and rule.fullmatch(value) is None:
                kind = MALFORMED
        self.name = name
        self.value = value
        self.kind = kind
        self.pair = (name, value)
        self.written = UNWRITTEN
        self.never = never  # to be indexed, by anyone (RFC 7541 section 6.2.3)


def kind_of(name: bytes) -> int:
    """The kind of a field with a name that `SEEN` does not have."""
    kind = KINDS.get(name)
    if kind is None:
        kind = PLAIN if NAME.fullmatch(name) is not None else MALFORMED
    return SEEN.keep(name, kind, len(name))
