"""The HTTP/2 client and the HTTP/2 pods understand each other, with nothing between them."""

from collections.abc import Iterator

import pytest
from tests.conformance.http.case import Script, Step
from tests.conformance.http.upstream import Upstreams
from tests.conformance.http.wire import Connection
from tests.conformance.http.wire_h2 import H2Connection, request_fields

POD = "127.77.1.1"


@pytest.fixture
def upstreams() -> Iterator[Upstreams]:
    upstreams = Upstreams()
    yield upstreams
    upstreams.stop()


def ask(upstreams: Upstreams, script: Script, *steps: Step):
    upstreams.start({"v1": POD}, {"v1": script})
    connection = H2Connection((POD, upstreams.port))
    answers = [connection.ask(step, "") for step in steps]
    connection.close()
    return answers


def test_a_request_and_its_answer(upstreams):
    script = Script(headers=("X-Own: yes", "connection: x-hop", "x-hop: 1"), body="hello", interim=(103,))
    for answer in ask(upstreams, script, Step(send="POST /a?b", body="hi"), Step(size=200_000)):
        assert (answer.status, answer.body, answer.interim, answer.broken) == (200, b"hello", [103], False)
        assert (answer.field("x-own"), answer.field("x-pod"), answer.field("x-hop")) == ("yes", "v1", None)
    first, second = upstreams.got["v1"]
    assert (first.method, first.target, first.field("host"), first.body) == ("POST", "/a?b", "reviews", b"hi")
    assert (first.version, len(second.body)) == ("HTTP/2", 200_000)


def test_trailers_on_both_sides(upstreams):
    step = Step(send="POST /", chunks=("a", "bc"), trailers=("x-sum: 3",))
    (answer,) = ask(upstreams, Script(body="out", trailers=("x-end: 1",)), step)
    assert answer.trailers == {"x-end": "1"}
    assert upstreams.got["v1"][0].field("trailer-x-sum") == "3" and upstreams.got["v1"][0].body == b"abc"


@pytest.mark.parametrize("script", [Script(body="part", cut=True), Script(reset=True), Script(close=True)])
def test_an_answer_that_breaks_off(upstreams, script):
    (answer,) = ask(upstreams, script, Step())
    assert answer.broken


def test_a_tunnel(upstreams):
    upgrade = ("connection: upgrade", "upgrade: websocket")
    upstreams.start({"v1": POD}, {"v1": Script(status=101, headers=upgrade, echo=True)})
    connection = H2Connection((POD, upstreams.port))
    answer = connection.ask(Step(headers=upgrade, then="hi"), "")
    assert answer.status == 200 and connection.echoed("hi") and connection.echoed("more")
    connection.close()
    assert upstreams.got["v1"][0].method == "CONNECT"


def test_a_pod_takes_both(upstreams):
    upstreams.start({"v1": POD}, {})
    connection = Connection((POD, upstreams.port))
    assert connection.ask(Step(), "").status == 200
    connection.close()
    assert upstreams.got["v1"][0].version == "HTTP/1.1"


def test_fields_of_the_connection_are_not_sent():
    step = Step(headers=("Connection: x-hop", "X-Hop: 1", "TE: trailers", "transfer-encoding: chunked"))
    names = [name for name, _ in request_fields(step, "one")]
    assert names == [":method", ":scheme", ":authority", ":path", "te", "x-request-id"]
