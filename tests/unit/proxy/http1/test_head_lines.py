from random import Random

import pytest

from nodemesh.proxy.http.errors import ProtocolError
from nodemesh.proxy.http.fields import PLAIN, SERVER, Layouts
from nodemesh.proxy.http.head import Fields
from nodemesh.proxy.http.lines import CACHE
from nodemesh.proxy.http1 import request, response
from nodemesh.proxy.http1.head_lines import LinesReader

LINES = [b"x-one: 1", b"Cookie: secret", b"x-two: 2"]
START = b"HTTP/1.1"


def values(lines):
    return [(line.name, line.value) for line in lines]


@pytest.fixture
def lines():
    CACHE.clear()
    found = LinesReader(Layouts(forwarded=frozenset({PLAIN}), meant=frozenset({SERVER})))
    assert found.read(START, LINES) is None and not found.familiar
    found.meaning = Fields([], frozenset())
    return found


def test_lines_are_those_of_the_head_before_where_they_are_the_same(lines):
    before = list(lines.found)
    assert values(before) == [(b"x-one", b"1"), (b"cookie", b"secret"), (b"x-two", b"2")]
    for now in (LINES[:1], [b"x-one: 1", b"x-two: 2"], [b"x-two: 2", b"x-one: 1", b"x-one: 1", b"x-two: 2"]):
        lines.read(START, now)
        assert lines.familiar and [line.line for line in lines.found] == now
        assert lines.layout.kept == list(range(len(now)))
    lines.read(START, [b"x-one: 1"])
    assert lines.found[0] is before[0]


def test_a_head_is_like_the_one_before_but_for_values_of_plain_fields(lines):
    meaning, layout = lines.meaning, lines.layout
    assert lines.read(START, [b"x-one: 1", b"Cookie: other", b"x-two: 3"]) is meaning
    assert values(lines.changed) == [(b"cookie", b"other"), (b"x-two", b"3")]
    assert not lines.familiar and lines.layout is layout
    assert lines.meaning is None, "until it is said what this one came to"
    assert lines.read(START, LINES) is None


@pytest.mark.parametrize(
    ("start", "now"),
    [
        (b"HTTP/1.0", LINES),
        (START, LINES[:2]),
        (START, [*LINES, b"x-three: 3"]),
        (START, [b"x-one: 1", b"x-two: 2", b"Cookie: secret"]),
        (START, [b"x-one: 1", b"server: s", b"x-two: 2"]),
        (START, [b"x-one: 1", b"x-one: 1", b"x-two: 2"]),
    ],
)
def test_it_is_not_where_more_differs(lines, start, now):
    assert lines.read(start, now) is None
    assert values(lines.found) == [tuple(line.lower().split(b": ")) for line in now]


def test_nor_where_a_field_that_says_something_to_the_proxy_has_another_value_or_one_comes_twice():
    lines = LinesReader(Layouts(forwarded=frozenset({PLAIN}), meant=frozenset({SERVER})))
    for first, then in (([b"server: a", b"x: 1"], [b"server: b", b"x: 1"]), ([b"x: 1", b"x: 2"], [b"x: 1", b"x: 3"])):
        lines.read(START, first)
        lines.meaning = Fields([], frozenset())
        assert lines.read(START, then) is None


def test_a_malformed_line_leaves_the_head_before_as_it_was(lines):
    before, meaning = list(lines.found), lines.meaning
    with pytest.raises(ProtocolError):
        lines.read(START, [b"x-one: 5", b"Cookie: secret", b"x-two"])
    assert lines.found == before
    assert lines.read(START, LINES) is meaning


NAMES = [b"x-a", b"X-A", b"x-b", b"host", b"Host", b"cookie", b"accept", b"server", b"expect", b"x-envoy-max-retries"]
FRAMING = [b"content-length", b"connection", b"te", b"upgrade", b"transfer-encoding", b"keep-alive", b"grpc-status"]
VALUES = [b"1", b"22", b" 3\t", b"", b"a, b", b"x-a", b"close", b"keep-alive, X-B", b"upgrade", b"trailers", b"chunked"]
WRONG = [b"x-c", b" x: 1", b"x-b : 1", b"x-b: \x00", b"100-continue"]


def heads(random, starts):
    """Heads one after another, of which most are like the one before."""
    lines = []
    while True:
        if not lines or random.random() < 0.2:
            names = random.choices(NAMES, k=random.randrange(5)) + random.choices(FRAMING, k=random.randrange(2))
            lines = [[name, random.choice(VALUES)] for name in (b"host", *names)]
            start = random.choice(starts)
        for line in random.choices(lines, k=random.randrange(3)):
            line[1] = random.choice([*VALUES, b"%d" % random.randrange(1000)])
        text = [b":".join(line) for line in lines]
        if random.random() < 0.05:
            text.insert(random.randrange(len(text) + 1), random.choice(WRONG))
        yield start, text


def told(read, *arguments):
    """What a head means: all that it has, or why it has no meaning."""
    try:
        found = read(*arguments)
    except ProtocolError as error:
        return str(error), error.status
    return {name: getattr(found, name) for kind in type(found).__mro__ for name in getattr(kind, "__slots__", ())} | {
        "fields": None
    }


def forget(module):
    module.KNOWN.found.clear()
    module.LINES.__init__(module.LAYOUTS)


@pytest.mark.parametrize("seed", range(20))
def test_whatever_came_before_a_request_means_what_it_means_alone(seed):
    random = Random(seed)
    sequence = heads(random, [b"HTTP/1.1", b"HTTP/1.0"])
    texts = [b"\r\n".join((start, *lines)) for start, lines in (next(sequence) for _ in range(200))]
    forget(request)
    found = [told(request.read_fields, text) for text in texts]
    for text, meaning in zip(texts, found, strict=True):
        forget(request)
        assert told(request.read_fields, text) == meaning, text


@pytest.mark.parametrize("seed", range(20))
def test_and_so_does_a_response(seed):
    random = Random(seed)
    sequence = heads(random, [b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found", b"HTTP/1.0 200 OK", b"HTTP/1.1 101 Well"])
    asked = [
        (b"\r\n".join((start, *lines)), random.choice((b"GET", b"GET", b"HEAD")))
        for start, lines in (next(sequence) for _ in range(200))
    ]
    forget(response)
    found = [told(response.read_response, *each) for each in asked]
    for each, meaning in zip(asked, found, strict=True):
        forget(response)
        response.GISTS.found.clear()
        assert told(response.read_response, *each) == meaning, each
