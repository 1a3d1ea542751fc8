"""Compiled matchers of HTTP rules: a row per rule and match entry, tried in order. The hot path of routing."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Final

from ..config import regex
from ..config.virtualservice import HTTPMatchRequest, StringMatch
from ..reasons import Reason
from .decision import Decision, Failure
from .fields import NO_REPEATED
from .request import Request

#: What the proxy writes where a request lacks it: rules see it as if the client had sent it (Envoy makes both before it
#: routes). An identifier that is yet to be made is seen by its form alone.
REQUEST_ID: Final = b"x-request-id"
FORWARDED_PROTO: Final = b"x-forwarded-proto"
MADE_ID: Final = b"00000000-0000-4000-8000-000000000000"

# How a text is compared.
ANY: Final = 0
EXACT: Final = 1
PREFIX: Final = 2
REGEX: Final = 3
PRESENT: Final = 4
EXACT_FOLDED: Final = 5
PREFIX_FOLDED: Final = 6
SEGMENTS: Final = 7  # a prefix that ends where a segment of the path does

KIND_NAMES: Final = {
    EXACT: "exact",
    EXACT_FOLDED: "exact",
    PREFIX: "prefix",
    PREFIX_FOLDED: "prefix",
    REGEX: "regex",
    SEGMENTS: "path prefix",
}

SLASH: Final = 47

#: From so many regexes of a host on, a path is held against all of them in one pass.
MANY: Final = 8

#: What the regexes of one request may cost, in bytes that they look at; each one tried counts as ATTEMPT bytes more.
BUDGET: Final = 512 * 1024
ATTEMPT: Final = 400

# Which part of the request a check looks at.
HEADER: Final = 0
WITHOUT: Final = 1
QUERY: Final = 2
METHOD: Final = 3
AUTHORITY: Final = 4
SCHEME: Final = 5

FIELD_NAMES: Final = {
    HEADER: "headers",
    WITHOUT: "withoutHeaders",
    QUERY: "queryParams",
    METHOD: "method",
    AUTHORITY: "authority",
    SCHEME: "scheme",
}


class TextMatch:
    """A StringMatch, compiled. The regex `*` stands for mere presence, as in Istio."""

    __slots__ = ("kind", "pattern", "value")

    def __init__(self, match: StringMatch, folded: bool = False) -> None:
        self.pattern: regex.Pattern | None = None
        self.value = b""
        if match.exact is not None:
            self.kind = EXACT_FOLDED if folded else EXACT
            self.value = encoded(match.exact, folded)
        elif match.prefix is not None:
            self.kind = PREFIX_FOLDED if folded else PREFIX
            self.value = encoded(match.prefix, folded)
        elif match.regex is not None and match.regex != "*":
            self.kind = REGEX
            self.value = match.regex.encode()
            self.pattern = regex.compile(match.regex)
        else:
            self.kind = PRESENT

    def matches(self, text: bytes) -> bool:
        kind = self.kind
        if kind == EXACT:
            return text == self.value
        if kind == PREFIX:
            return text.startswith(self.value)
        if kind == REGEX:
            pattern = self.pattern
            assert pattern is not None
            return pattern.fullmatch(text)
        if kind == EXACT_FOLDED:
            return len(text) == len(self.value) and text.lower() == self.value
        if kind == PREFIX_FOLDED:
            return text[: len(self.value)].lower() == self.value
        if kind == SEGMENTS:
            end = len(self.value)
            return text.startswith(self.value) and (len(text) == end or text[end] == SLASH)
        return True

    def __str__(self) -> str:
        if self.kind == PRESENT:
            return "present"
        return f"{KIND_NAMES[self.kind]} {self.value.decode(errors='replace')!r}"


def encoded(text: str, folded: bool) -> bytes:
    return text.lower().encode() if folded else text.encode()


class Check:
    """One condition on one part of a request other than its path. Of a header that came several times each value counts
    by itself, as in Envoy; with `whole` all of them, joined, as the Gateway API has it (HTTPHeaderMatch)."""

    __slots__ = ("costly", "exact_header", "field", "key", "made", "match", "pseudo", "whole")

    def __init__(self, field: int, key: str, match: TextMatch, whole: bool = False) -> None:
        self.whole = whole
        self.field = field
        self.match = match
        self.key = key.encode() if field == QUERY else key.lower().encode()
        self.pseudo = self.key.startswith(b":") or self.key == b"host"
        self.costly = match.kind == REGEX
        self.made = field <= WITHOUT and self.key in (REQUEST_ID, FORWARDED_PROTO)
        self.exact_header = (
            field == HEADER and match.kind == EXACT and not self.pseudo and not self.made
        )  # most checks are

    def seen(self, request: Request) -> bytes | None:
        """The value that the condition looks at; None where the request has none."""
        field = self.field
        if field <= WITHOUT:
            if self.pseudo:
                return pseudo_header(request, self.key)
            value = request.headers.get(self.key)
            if self.made and not value:
                return MADE_ID if self.key == REQUEST_ID else value or request.scheme
            return value
        if field == METHOD:
            return request.method
        if field == AUTHORITY:
            return request.authority
        if field == SCHEME:
            return request.scheme
        return query_value(request.query, self.key)

    def holds(self, request: Request) -> bool:
        if self.field <= WITHOUT and not self.whole and self.key in request.repeated:
            found = any(self.match.matches(each) for each in request.repeated[self.key])
            return found is (self.field == HEADER)
        value = self.seen(request)
        if self.field == WITHOUT:
            if self.match.kind == PRESENT:
                return value is None
            return not self.match.matches(value if value is not None else b"")
        return value is not None and self.match.matches(value)

    def __str__(self) -> str:
        name = FIELD_NAMES[self.field]
        key = f"[{self.key.decode(errors='replace')}]" if self.key else ""
        return f"{name}{key}"


def pseudo_header(request: Request, name: bytes) -> bytes | None:
    if name in (b":authority", b"host"):
        return request.authority
    if name == b":method":
        return request.method
    if name == b":scheme":
        return request.scheme
    if name == b":path":
        return request.path + b"?" + request.query if request.query else request.path
    return None


def query_value(query: bytes, key: bytes) -> bytes | None:
    """The first value of a query parameter, undecoded, as Envoy compares it. Many rules may ask one long
    query for theirs: it is searched, never taken apart."""
    if not query or key.find(b"=") >= 0 or key.find(b"&") >= 0:
        return None
    query = b"&" + query + b"&"
    with_value = query.find(b"&" + key + b"=")
    bare = query.find(b"&" + key + b"&") if key else -1
    if bare >= 0 and (with_value < 0 or bare < with_value):
        return b""
    if with_value < 0:
        return None
    start = with_value + len(key) + 2
    return query[start : query.index(b"&", start)]


class MatchRow:
    """One way into a rule: what the request must be like, and the decision then."""

    __slots__ = ("checks", "decision", "entry", "name", "path_kind", "path_value", "uri", "value", "wants_path")

    def __init__(self, uri: TextMatch | None, checks: tuple[Check, ...], decision: Decision, entry: int) -> None:
        self.decision = decision
        self.entry = entry  # index of the match entry in its rule; -1: the rule has none
        self.uri = uri
        self.path_kind = self.uri.kind if self.uri is not None else ANY
        self.path_value = self.uri.value if self.uri is not None else b""
        self.wants_path = self.path_kind in (PREFIX, EXACT, SEGMENTS)  # one that begins with that value
        self.checks = checks
        # Most rows want a header to have some value, and most requests have another one: told before all else.
        exact = next((check for check in checks if check.exact_header), None)
        self.name = exact.key if exact is not None else b""
        self.value = exact.match.value if exact is not None else b""

    def matches(self, request: Request) -> bool:
        uri = self.uri
        if uri is not None and not uri.matches(request.path):
            return False
        return all(check.holds(request) for check in self.checks)

    @property
    def matches_all(self) -> bool:
        """Whether nothing gets past this row: the rest of the list is out of reach."""
        if self.checks:
            return False
        return (
            self.path_kind in (ANY, PRESENT)
            or (self.path_kind in (PREFIX, PREFIX_FOLDED) and self.path_value in (b"/", b""))
            or (self.path_kind == REGEX and self.path_value == b".*")
        )


def http_row(match: HTTPMatchRequest | None, decision: Decision, entry: int) -> MatchRow:
    """A VirtualService's."""
    if match is None:
        return MatchRow(None, (), decision, entry)
    uri = TextMatch(match.uri, bool(match.ignore_uri_case)) if match.uri else None
    return MatchRow(uri, checks_of(match), decision, entry)


def checks_of(match: HTTPMatchRequest) -> tuple[Check, ...]:
    """The cheap comparisons first; their order does not change the outcome."""
    checks: list[Check] = []
    for field, text in ((METHOD, match.method), (SCHEME, match.scheme), (AUTHORITY, match.authority)):
        if text is not None:
            checks.append(Check(field, "", TextMatch(text)))
    for name, text in match.headers.items():
        checks.append(Check(HEADER, name, TextMatch(text)))
    for name, text in match.without_headers.items():
        checks.append(Check(WITHOUT, name, TextMatch(text)))
    for name, text in match.query_params.items():
        checks.append(Check(QUERY, name, TextMatch(text)))
    return tuple(checks)


class Block:
    """Consecutive rows. Where all of them want certain paths, none matches one that begins with none of `prefixes`:
    told at once, however many they are. Where many of them have regexes for paths, `patterns` holds these, and
    `numbers` tells each row's place among them (-1: it has none)."""

    __slots__ = ("numbers", "patterns", "prefixes", "rows")

    def __init__(self, rows: list[MatchRow]) -> None:
        self.rows = rows
        self.patterns: regex.PatternSet | None = None
        self.numbers: list[int] = []
        found = [row.uri.pattern for row in rows if row.uri is not None and row.uri.pattern is not None]
        if len(found) >= MANY:
            patterns = regex.PatternSet(found)
            if patterns.usable:
                self.patterns = patterns
                count = iter(range(len(found)))
                self.numbers = [next(count) if row.path_kind == REGEX else -1 for row in rows]
        self.prefixes = tuple(row.path_value for row in rows) if len(rows) > 1 and rows[0].wants_path else ()


#: Where the regexes of a host cost more than one request may: others wait as long.
TOO_COSTLY: Final = Failure(reason=Reason.RULES_TOO_COSTLY, status=503)


class VirtualHost:
    """The rules for one host and port. `otherwise` is the answer where no row matches."""

    __slots__ = ("blocks", "host", "otherwise")

    def __init__(self, host: str, rows: Iterable[MatchRow], otherwise: Decision) -> None:
        self.host = host
        self.blocks = [Block(list(block)) for _, block in groupby(rows, lambda row: row.wants_path)]
        self.otherwise = otherwise

    def decide(self, request: Request) -> Decision:
        path = request.path
        headers = request.headers
        single = request.repeated is NO_REPEATED
        spent = 0
        for block in self.blocks:
            if block.prefixes and not path.startswith(block.prefixes):
                continue
            rows = block.rows
            if block.patterns is not None:
                rows = self._narrow(block, path)
                spent += len(path)
            for row in rows:
                if row.name and single and headers.get(row.name) != row.value:
                    continue
                kind = row.path_kind
                if kind == PREFIX:
                    if not path.startswith(row.path_value):
                        continue
                elif kind == EXACT:
                    if path != row.path_value:
                        continue
                elif kind >= REGEX:
                    uri = row.uri
                    if kind == REGEX:
                        spent += len(path) + ATTEMPT
                        if spent > BUDGET:
                            return TOO_COSTLY
                    if uri is not None and not uri.matches(path):
                        continue
                for check in row.checks:
                    if check.exact_header and single:
                        if headers.get(check.key) != check.match.value:
                            break
                    else:
                        if check.costly:
                            spent += len(check.seen(request) or b"") + ATTEMPT
                            if spent > BUDGET:
                                return TOO_COSTLY
                        if not check.holds(request):
                            break
                else:
                    return row.decision
        return self.otherwise

    def _narrow(self, block: Block, path: bytes) -> list[MatchRow]:
        """The rows of a block whose regexes match this path, and those that have none; all where that is not known."""
        assert block.patterns is not None
        found = block.patterns.fullmatch(path)
        if found is None:
            return block.rows
        return [row for row, number in zip(block.rows, block.numbers, strict=True) if number < 0 or number in found]
