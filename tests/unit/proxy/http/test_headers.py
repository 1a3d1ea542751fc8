"""Header operations in their order, and variables in their values."""

import pytest

from nodemesh.proxy.http.head import Edits, Fields
from nodemesh.proxy.http.headers import change, expand
from nodemesh.proxy.http.lines import name_of
from nodemesh.proxy.http.variables import NO_FACTS, RequestFacts
from nodemesh.proxy.http1.write import unedited
from nodemesh.routing.client import Client
from nodemesh.routing.decision import HeaderOp, HeaderOps
from nodemesh.telemetry.record import RequestRecord


def op(name: bytes, value: bytes, formatted: bool = False) -> HeaderOp:
    return HeaderOp(name=name, value=value, formatted=formatted)


def fields(*lines: bytes) -> Fields:
    return Fields([*lines], frozenset(map(name_of, lines)))


def test_removed_then_set_then_added():
    came = fields(b"X-A: 1", b"x-a: 2", b"Keep: k", b"x-b: 3", b"x-c: 4")
    ops = HeaderOps(
        remove=(b"x-b", b"x-none"), set=(op(b"x-a", b"new"),), add=(op(b"x-b", b"again"), op(b"keep", b"too"))
    )
    edits: Edits = {}
    change(ops, came, edits, NO_FACTS)
    assert edits == {
        b"x-b": b"x-b: again",
        b"x-none": b"",
        b"x-a": b"x-a: new",
        b"keep": b"Keep: k\r\nkeep: too",
    }
    assert unedited(came, edits) == [b"x-c: 4"]


def test_later_operations_see_the_earlier_ones():
    came = fields(b"X-A: 1")
    edits: Edits = {}
    change(HeaderOps(set=(op(b"x-a", b"2"),)), came, edits, NO_FACTS)
    change(HeaderOps(add=(op(b"x-a", b"3"),)), came, edits, NO_FACTS)
    assert edits == {b"x-a": b"x-a: 2\r\nx-a: 3"}
    change(HeaderOps(remove=(b"x-a",)), came, edits, NO_FACTS)
    assert edits == {b"x-a": b""}


def test_an_empty_value_changes_nothing():
    edits: Edits = {}
    change(HeaderOps(set=(op(b"x-a", b"%REQ(none)%", True),)), fields(b"x-a: 1"), edits, NO_FACTS)
    assert not edits


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (b"plain", b"plain"),
        (b"100%%", b"100%"),
        (b"<%REQ(x-none)%|%REQ(x-none)%>", b"<|>"),
        (b"%%%PROTOCOL%%%", b"%HTTP/1.1%"),
    ],
)
def test_variables_stand_among_texts(template, value):
    assert expand(template, NO_FACTS) == value


def test_variables_come_to_no_more_than_a_head_may_have():
    """The rule's author names a field of the client's as often as it likes."""
    facts = RequestFacts(RequestRecord(Client(namespace="")), NO_FACTS.request, "")
    facts.record.path = b"/" + b"x" * 29_999
    edits: Edits = {}
    once, often = op(b"x-once", b"%PATH%", True), op(b"x-often", b"%PATH%" * 1000, True)
    change(HeaderOps(set=(often, once), add=(*[once] * 10, op(b"x-plain", b"y" * 70_000))), fields(), edits, facts)
    assert b"x-often" not in edits and edits[b"x-once"].count(facts.record.path) == 2
    assert edits[b"x-plain"] == b"x-plain: " + b"y" * 70_000, "what the rule itself says is as long as it is"
