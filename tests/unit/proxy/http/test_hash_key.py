"""What consistent hashing hashes, and the cookies that it makes."""

import pytest

from nodemesh.balance.hashing import hash_header, hash_key
from nodemesh.proxy.http.hash_key import MAX_VALUES, HashKey, cookie_of
from nodemesh.routing.client import Client
from nodemesh.routing.decision import CookieAttribute, HashPolicy
from nodemesh.routing.request import Request
from nodemesh.telemetry.record import RequestRecord


@pytest.fixture
def record():
    record = RequestRecord(Client(namespace="default"))
    record.downstream_remote = "10.1.0.9:40000"
    record.downstream_local = "10.96.0.10:80"
    return record


def request(query=b"", **headers):
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return Request(b"GET", b"http", b"reviews", b"/", query, fields)


def test_a_header(record):
    policy = HashPolicy(header=b"x-user")
    assert HashKey(policy, request(x_user=b"jason"), record).value == hash_header([b"jason"])
    assert HashKey(policy, request(), record).value is None


def test_a_query_parameter(record):
    policy = HashPolicy(query=b"u")
    assert HashKey(policy, request(b"a=1&u=j&u=k"), record).value == hash_key(b"j")
    assert HashKey(policy, request(b"uu=1"), record).value is None


def test_the_source_address_without_its_port(record):
    assert HashKey(HashPolicy(source_ip=True), request(), record).value == hash_key(b"10.1.0.9")


def test_a_cookie_that_is_there(record):
    key = HashKey(HashPolicy(cookie=b"s", cookie_ttl=0.0), request(cookie=b'a=b; s="v"; s=w'), record)
    assert key.value == hash_key(b"v") and key.cookie == b""


def test_a_cookie_is_made_only_with_a_ttl(record):
    assert HashKey(HashPolicy(cookie=b"s"), request(), record).value is None
    session = HashKey(HashPolicy(cookie=b"s", cookie_ttl=0.0), request(), record)
    assert session.value is not None and session.cookie.endswith(b'"; HttpOnly') and b"Max-Age" not in session.cookie
    attributes = (CookieAttribute(name="SameSite", value="Strict"), CookieAttribute(name="Secure"))
    policy = HashPolicy(cookie=b"s", cookie_ttl=60.0, cookie_path=b"/p", cookie_attributes=attributes)
    made = HashKey(policy, request(), record)
    assert made.cookie.startswith(b's="') and made.cookie.endswith(
        b'"; Max-Age=60; Path=/p; SameSite=Strict; Secure; HttpOnly'
    )
    value = made.cookie[3 : made.cookie.index(b'"', 3)]
    assert HashKey(policy, request(cookie=b"s=" + value), record).value == made.value


@pytest.mark.parametrize(
    ("header", "value"),
    [
        (b"s=v", b"v"), (b" s=v ;a", b"v"), (b"a=s=1; s=v", b"v"), (b"xs=1; s=v", b"v"), (b"s; s=v", b"v"),
        (b"a=1,s=v", b"v"), (b"s=", b""), (b"s.=1", None), (b"", None),
    ],
)  # fmt: skip
def test_where_a_cookie_stands(header, value):
    assert cookie_of(header, b"s") == value


def test_a_field_with_many_values_is_hashed_in_portions(record):
    values = [b"%d" % number for number in range(5 * MAX_VALUES)]
    policy = HashPolicy(header=b"x-user")
    many = HashKey(policy, request(x_user=b",".join(values)), record).value
    assert many == hash_header([*values[:MAX_VALUES], b",".join(values[MAX_VALUES:])])
