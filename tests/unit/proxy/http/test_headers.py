"""Header operations in their order, and format commands."""

import pytest

from nodemesh.proxy.http.head import Edits, Fields
from nodemesh.proxy.http.headers import change, expand
from nodemesh.proxy.http.lines import name_of
from nodemesh.proxy.http1.write import unedited
from nodemesh.routing.client import Client
from nodemesh.routing.decision import HeaderOp, HeaderOps
from nodemesh.telemetry.record import RequestRecord


@pytest.fixture
def record() -> RequestRecord:
    record = RequestRecord(Client(namespace="default"))
    record.started = 1_700_000_000.25
    record.method = b"GET"
    record.path = b"/p?q"
    record.authority = b"reviews:80"
    record.downstream_remote = "10.1.0.9:40000"
    record.status = 503
    return record


def op(name: bytes, value: bytes, formatted: bool = False) -> HeaderOp:
    return HeaderOp(name=name, value=value, formatted=formatted)


def fields(*lines: bytes) -> Fields:
    return Fields([*lines], frozenset(map(name_of, lines)))


def test_removed_then_set_then_added(record):
    came = fields(b"X-A: 1", b"x-a: 2", b"Keep: k", b"x-b: 3", b"x-c: 4")
    ops = HeaderOps(
        remove=(b"x-b", b"x-none"), set=(op(b"x-a", b"new"),), add=(op(b"x-b", b"again"), op(b"keep", b"too"))
    )
    edits: Edits = {}
    change(ops, came, edits, record, {})
    assert edits == {
        b"x-b": b"x-b: again",
        b"x-none": b"",
        b"x-a": b"x-a: new",
        b"keep": b"Keep: k\r\nkeep: too",
    }
    assert unedited(came, edits) == [b"x-c: 4"]


def test_later_operations_see_the_earlier_ones(record):
    came = fields(b"X-A: 1")
    edits: Edits = {}
    change(HeaderOps(set=(op(b"x-a", b"2"),)), came, edits, record, {})
    change(HeaderOps(add=(op(b"x-a", b"3"),)), came, edits, record, {})
    assert edits == {b"x-a": b"x-a: 2\r\nx-a: 3"}
    change(HeaderOps(remove=(b"x-a",)), came, edits, record, {})
    assert edits == {b"x-a": b""}


def test_an_empty_value_changes_nothing(record):
    edits: Edits = {}
    change(HeaderOps(set=(op(b"x-a", b"%REQ(none)%", True),)), fields(b"x-a: 1"), edits, record, {})
    assert not edits


@pytest.mark.parametrize(
    ("template", "value"),
    [
        (b"plain", b"plain"),
        (b"100%%", b"100%"),
        (b"%REQ(X-User)%!", b"jason!"),
        (b"%REQ(none?x-user)%", b"jason"),
        (b"%REQ(:path)%", b"/p?q"),
        (b"%REQ(:AUTHORITY)%", b"reviews:80"),
        (b"%DOWNSTREAM_REMOTE_ADDRESS%", b"10.1.0.9:40000"),
        (b"%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", b"10.1.0.9"),
        (b"%PROTOCOL% %RESPONSE_CODE%", b"HTTP/1.1 503"),
        (b"%START_TIME%", b"2023-11-14T22:13:20.250Z"),
        (b"%ENVIRONMENT(NODEMESH_NOT_SET)%", b""),
        (b"%ENVIRONMENT(PATH)%%ENVIRONMENT()%%REQ(a%)%%ENVIRONMENT(HOME)%", b""),
        (b"%UNKNOWN%", b"%UNKNOWN%"),
        (b"50% off", b"50% off"),
    ],
)
def test_format_commands(record, template, value):
    assert expand(template, record, {b"x-user": b"jason"}) == value
