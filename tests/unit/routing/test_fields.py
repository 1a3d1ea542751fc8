"""What rules see of a request's fields."""

import pytest

from nodemesh.routing.fields import NO_REPEATED, asked_upgrade, gather, leave_hop, members, said_scheme


def fields(*pairs):
    headers, repeated = {}, NO_REPEATED
    for name, value in pairs:
        repeated = gather(headers, repeated, name, value)
    return headers, repeated


def test_repeated_fields_keep_their_values_apart():
    headers, repeated = fields((b"a", b"1"), (b"b", b"2"), (b"a", b"3"), (b"a", b"4"))
    assert headers == {b"a": b"1,3,4", b"b": b"2"}
    assert repeated == {b"a": (b"1", b"3", b"4")}
    assert NO_REPEATED == {}


@pytest.mark.parametrize(
    ("value", "connection", "asked"),
    [
        (b"websocket", b"upgrade", b"websocket"),
        (b"WebSocket", b"keep-alive, Upgrade", b"WebSocket"),
        (b"websocket", b"keep-alive", b""),
        (b"h2c", b"upgrade, http2-settings", b""),
        (b"H2C", b"upgrade", b""),
        (b"websocket, h2c", b"upgrade", b"websocket, h2c"),
        (b"h2c,websocket", b"upgrade", b"h2c,websocket"),
    ],
)
def test_which_upgrade_is_asked_for(value, connection, asked):
    assert asked_upgrade(value, members(connection)) == asked


@pytest.mark.parametrize(
    ("pairs", "upgrade", "seen"),
    [
        ([(b"connection", b"keep-alive"), (b"keep-alive", b"5"), (b"x", b"1")], b"", {b"x": b"1"}),
        ([(b"connection", b"x-hop, close"), (b"x-hop", b"1"), (b"x-hop", b"2")], b"", {}),
        ([(b"te", b"gzip")], b"", {}),
        ([(b"te", b"gzip, trailers"), (b"connection", b"te")], b"", {b"te": b"trailers"}),
        (
            [(b"connection", b"Upgrade, x"), (b"upgrade", b"websocket"), (b"x", b"1")],
            b"websocket",
            {b"connection": b"Upgrade, x", b"upgrade": b"websocket"},
        ),
        ([(b"connection", b"upgrade"), (b"upgrade", b"h2c"), (b"http2-settings", b"AA")], b"", {}),
        ([(b"content-length", b"2"), (b"connection", b"content-length")], b"", {}),
    ],
)
def test_what_is_seen_of_fields_for_one_hop(pairs, upgrade, seen):
    headers, repeated = fields(*pairs)
    leave_hop(headers, repeated, upgrade)
    assert headers == seen and not repeated


@pytest.mark.parametrize(
    ("said", "scheme"), [(b"https", b"https"), (b"HTTPS", b"https"), (b"ftp", b"http"), (b"", b"http")]
)
def test_the_scheme_is_the_forwarded_one(said, scheme):
    assert said_scheme({b"x-forwarded-proto": said}, b"http") == scheme
    assert said_scheme({}, b"https") == b"https"
