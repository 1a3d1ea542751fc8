"""One part of a request (its path, one header, …) and the values of it that rules tell apart."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from itertools import combinations

from ...config.regex import PatternSet
from ..match import (
    AUTHORITY,
    EXACT,
    EXACT_FOLDED,
    HEADER,
    METHOD,
    PREFIX,
    PREFIX_FOLDED,
    PRESENT,
    QUERY,
    REGEX,
    SCHEME,
    SEGMENTS,
    WITHOUT,
    Check,
    TextMatch,
)
from ..request import Request
from ..rewrite import normalize_path
from .apart import Unknown, apart
from .samples import beginning, samples

#: A part: its kind and, for headers and query parameters, its name.
Part = tuple[str, bytes]

PATH: Part = ("path", b"")
METHODS: Part = ("method", b"")
AUTHORITIES: Part = ("authority", b"")
SCHEMES: Part = ("scheme", b"")
HEADERS, QUERIES = "header", "query"

#: A value that no rule is likely to know.
OTHER = b"other"

PSEUDO = {b":path": PATH, b":method": METHODS, b":authority": AUTHORITIES, b"host": AUTHORITIES, b":scheme": SCHEMES}
FIELDS = {METHOD: METHODS, AUTHORITY: AUTHORITIES, SCHEME: SCHEMES}

#: Pairs of expressions that are told apart by more than samples.
MOST_PAIRS = 64

#: Texts that are made of a prefix and an expression together.
MOST_MIXED = 4096


def part_of(check: Check) -> Part:
    if check.field in (HEADER, WITHOUT):
        return PSEUDO.get(check.key, (HEADERS, check.key))
    return (QUERIES, check.key) if check.field == QUERY else FIELDS[check.field]


def apply(request: Request, part: Part, value: bytes | None) -> None:
    """Give the request this value there."""
    kind, name = part
    if kind == HEADERS:
        if value is not None:
            request.headers[name] = value
    elif kind == QUERIES:
        if value is not None:
            pair = name + b"=" + value
            request.query = request.query + b"&" + pair if request.query else pair
    elif value is not None:
        setattr(request, kind, value)


class Domain:
    """The values, of which one represents all that no condition distinguishes from it; `sets` are those that a
    condition takes, a bit for each value. `usual` is the value of a request of which nothing is asked."""

    __slots__ = ("part", "values", "usual", "all", "unsampled", "untold", "_requests", "_exact", "_sets", "_texts")

    def __init__(
        self,
        part: Part,
        conditions: Iterable[TextMatch],
        given: Iterable[bytes] = (),
        changed: frozenset[str] = frozenset(),
    ) -> None:
        """`changed` are the expressions that one side alone has."""
        self.part = part
        self.unsampled: list[str] = []  # expressions that no text was found for
        self.untold = 0  # pairs of expressions that were compared by samples alone
        conditions = list(conditions)
        found = [*dict.fromkeys([*self._candidates(conditions, list(given)), *self._apart(conditions, changed)])]
        self._texts = sorted(value for value in found if value is not None)  # so that a prefix's are side by side
        self.values: list[bytes | None] = [*self._texts, *([None] if None in found else [])]
        self.usual = self.values.index(found[0])
        self.all = (1 << len(self.values)) - 1
        self._requests: list[Request] | None = None
        self._exact = {value: 1 << index for index, value in enumerate(self.values)}
        self._sets: dict[object, int] = {}
        self._match_all([each for each in conditions if each.kind == REGEX])

    def _candidates(self, conditions: list[TextMatch], given: list[bytes]) -> Iterable[bytes | None]:
        if given:
            return given
        kind = self.part[0]
        free = kind in (HEADERS, QUERIES)
        found: list[bytes | None] = [None] if free else [b"/"] if kind == "path" else [b"GET"]
        found += [b"/" + OTHER] if kind == "path" else [OTHER]
        if free:
            found.append(b"")
        for condition in conditions:
            found += self._of(condition)
        prefixes = [each.value for each in conditions if each.kind in (PREFIX, PREFIX_FOLDED, SEGMENTS)]
        made: list[bytes] = []
        for condition in conditions:
            if condition.kind == REGEX and prefixes and condition.pattern is not None:
                start = beginning(condition.pattern)
                fitting = [each for each in prefixes if each.startswith(start) or start.startswith(each)]
                for text in samples(condition.pattern):
                    made += [p + text for p in fitting if condition.pattern.fullmatch(p + text)]
                    made += [p + b"/" + text for p in fitting if condition.pattern.fullmatch(p + b"/" + text)]
                    if len(made) > MOST_MIXED:
                        break
        return [value for value in [*found, *made] if value is None or self._comes(value)]

    def _apart(self, conditions: list[TextMatch], changed: frozenset[str]) -> Iterable[bytes]:
        """Texts that tell expressions apart: what has changed from all others first."""
        patterns = {each.pattern.text: each.pattern for each in conditions if each.pattern is not None}
        pairs = sorted(combinations(sorted(patterns), 2), key=lambda pair: -sum(text in changed for text in pair))
        asked = [pair for pair in pairs if not changed.isdisjoint(pair)]
        self.untold = max(0, len(asked) - MOST_PAIRS)
        for one, other in pairs[:MOST_PAIRS]:
            try:
                yield from apart(patterns[one], patterns[other], self._comes, b"/" if self.part == PATH else b"")
            except Unknown:
                self.untold += not changed.isdisjoint((one, other))

    def _of(self, condition: TextMatch) -> list[bytes]:
        value, kind = condition.value, condition.kind
        if kind == EXACT:
            return [value]
        if kind == EXACT_FOLDED:
            return [value, value.upper(), value.swapcase()]
        if kind in (PREFIX, SEGMENTS):
            return [value, value + OTHER, value + b"/" + OTHER]
        if kind == PREFIX_FOLDED:
            return [value, value.upper(), value + OTHER, value.upper() + OTHER]
        if kind == PRESENT:
            return [OTHER]
        assert condition.pattern is not None
        found = samples(condition.pattern)
        if self.part == PATH:
            found += [b"/" + text for text in found if condition.pattern.fullmatch(b"/" + text)]
        if not any(map(self._comes, found)):
            self.unsampled.append(condition.pattern.text)
        return found

    def _comes(self, value: bytes) -> bool:
        """Whether a request can have the value when rules see it."""
        if self.part[0] in (HEADERS, QUERIES):
            bad = b"\r\n\0" + (b"& #" if self.part[0] == QUERIES else b"")
            return not any(byte in bad for byte in value) and value == value.strip()
        if self.part[0] != "path":
            return bool(value) and value.isascii() and b" " not in value
        if not value.startswith(b"/") or any(byte <= 32 or byte in b"?#" for byte in value):
            return False
        try:
            return normalize_path(value) == value
        except ValueError:
            return False

    def _match_all(self, conditions: list[TextMatch]) -> None:
        """Hold the values against all expressions at once, where they are many."""
        patterns = [each.pattern for each in conditions if each.pattern is not None]
        together = PatternSet(patterns) if len(patterns) > 8 else None
        if together is None or not together.usable:
            return
        found = [0] * len(patterns)
        for index, value in enumerate(self.values):
            matched = together.fullmatch(value) if value is not None else frozenset()
            if matched is None:
                return
            for number in matched:
                if number < len(found):
                    found[number] |= 1 << index
        for pattern, values in zip(patterns, found, strict=True):
            self._sets[pattern.text] = values

    def of_text(self, match: TextMatch) -> int:
        """The values that a condition on the part's own text takes."""
        if match.kind == EXACT:
            return self._exact.get(match.value, 0)
        if match.kind == PREFIX:
            return self._beginning(match.value)
        key: object = match.pattern.text if match.pattern is not None else (match.kind, match.value)
        found = self._sets.get(key)
        if found is None:
            found = 0
            for index, value in enumerate(self.values):
                if value is not None and match.matches(value):
                    found |= 1 << index
            self._sets[key] = found
        return found

    def _beginning(self, prefix: bytes) -> int:
        """The values that begin so."""
        low = bisect_left(self._texts, prefix)
        beyond = prefix.rstrip(b"\xff")
        high = bisect_left(self._texts, beyond[:-1] + bytes((beyond[-1] + 1,))) if beyond else len(self._texts)
        return (1 << high) - (1 << low)

    def of_check(self, check: Check) -> int:
        """The values that a check takes."""
        if check.exact_header:
            return self._exact.get(check.match.value, 0)
        key = (check.field, check.match.kind, check.match.value, check.key)
        found = self._sets.get(key)
        if found is None:
            found = 0
            for index, request in enumerate(self._probes()):
                if check.holds(request):
                    found |= 1 << index
            self._sets[key] = found
        return found

    def _probes(self) -> list[Request]:
        """A request for each value."""
        if self._requests is None:
            self._requests = []
            for value in self.values:
                request = blank()
                apply(request, self.part, value)
                self._requests.append(request)
        return self._requests

    def choose(self, allowed: int) -> bytes | None:
        """One of these values, the usual one where it is among them."""
        if allowed >> self.usual & 1:
            return self.values[self.usual]
        return self.values[(allowed & -allowed).bit_length() - 1]


def blank() -> Request:
    return Request(b"GET", b"http", b"", b"/", b"", {})
