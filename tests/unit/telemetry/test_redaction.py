"""What of a request's head is kept: all that rules may look at, nothing that opens a door, and no more than so much."""

import pytest

from nodemesh.routing.client import Client
from nodemesh.routing.heads import REDACTED
from nodemesh.routing.request import Request
from nodemesh.telemetry.redaction import ALL, FIELDS, PATH, VALUE, Redaction

CLIENT = Client(namespace="default", name="shop", labels={"app": "shop"}, owner="shop", addresses=("10.1.0.9",))


def head(headers=None, query=b"", path=b"/", shown=(), repeated=None, **options):
    request = Request(b"GET", b"http", b"reviews", path, query, headers or {})
    if repeated:
        request.repeated = repeated
    return Redaction(frozenset(shown), **options).head(
        request, CLIENT, 12.5, "10.96.0.10", "reviews.default.svc.cluster.local", 80, sni="", gateway=False
    )


@pytest.mark.parametrize(
    "name",
    [
        "authorization", "proxy-authorization", "cookie", "x-api-key", "x-auth-token", "x-amz-security-token",
        "x-csrf-token", "x-session-id", "x-vault-token", "x-signature", "client_secret".replace("_", "-"),
        "sec-websocket-key", "x-forwarded-client-cert",
    ],
)  # fmt: skip
def test_what_a_secret_is_called_is_left_out(name):
    found = head({name.encode(): b"abc"})
    assert found.headers == {name: REDACTED}
    assert found.redacted == (name,)


@pytest.mark.parametrize(
    "value",
    [
        "Bearer abc", "Basic dXNlcjpwYXNz", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
        "x=1; jwt=eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "A" * 40,
    ],
)  # fmt: skip
def test_what_looks_like_a_secret_is_left_out_whatever_it_is_called(value):
    assert head({b"x-custom": value.encode()}).headers == {"x-custom": REDACTED}


def test_what_rules_mostly_look_at_is_kept():
    fields = {
        b"end-user": b"jason",
        b"user-agent": b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36",
        b"x-request-id": b"0f0cb5ea-1111-4000-8000-000000000000",
        b"traceparent": b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"author": b"somebody",
    }
    found = head(fields)
    assert found.redacted == ()
    assert {name.encode(): value.encode() for name, value in found.headers.items()} == fields


def test_of_a_query_the_names_are_kept():
    found = head(query=b"version=v2&token=abc&bare&empty=")
    assert found.query == f"version={REDACTED}&token={REDACTED}&bare&empty="
    assert found.redacted == ("?version", "?token")


def test_what_is_asked_for_by_name_is_shown():
    found = head({b"cookie": b"user=jason", b"x-api-key": b"k"}, b"version=v2&token=abc", shown=("cookie", "?version"))
    assert found.headers == {"cookie": "user=jason", "x-api-key": REDACTED}
    assert found.query == f"version=v2&token={REDACTED}"


def test_every_value_of_a_repeated_field_is_kept_or_none():
    repeated = {b"x-group": (b"a", b"b"), b"cookie": (b"a=1", b"b=2")}
    found = head({b"x-group": b"a,b", b"cookie": b"a=1,b=2"}, repeated=repeated)
    assert found.repeated == {"x-group": ("a", "b")}
    assert found.headers == {"x-group": "a,b", "cookie": REDACTED}


def test_a_head_takes_no_more_than_its_room():
    many = {b"x-%d" % number: b"v" for number in range(2 * FIELDS)}
    assert len(head(many).headers) == FIELDS and head(many).cut
    assert head({b"x-long": b". " * VALUE}).headers == {} and head({b"x-long": b". " * VALUE}).cut
    wide = {b"x-%d" % number: b". " * 900 for number in range(20)}
    assert sum(map(len, head(wide).headers.values())) <= ALL and head(wide).cut
    assert sum(map(len, head(wide, room=4000).headers.values())) <= 4000
    assert len(head(path=b"/" + b"x/" * PATH).path) == PATH and head(path=b"/" + b"x/" * PATH).cut
    assert not head({b"end-user": b"jason"}).cut


def test_a_client_is_kept_by_what_rules_look_at():
    found = head().client
    assert (found.namespace, found.name, found.labels) == ("default", "shop", {"app": "shop"})
    assert (found.owner, found.addresses) == ("", ())
