"""gRPC's status and message."""

from urllib.parse import unquote_to_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodemesh.proxy.grpc.status import (
    http_status_of,
    percent_encoded,
    read_status,
    status_of,
)


@pytest.mark.parametrize(
    ("value", "status"),
    [(b"0", 0), (b"16", 16), (b"007", 7), (b"99", 99), (b"", -1), (b"-1", -1), (b"+1", -1), (b"1 ", -1), (b"x", -1),
     (b"1" * 10, -1), (b"\xb2", -1)],
)  # fmt: skip
def test_the_number(value, status):
    assert read_status(value) == status


@pytest.mark.parametrize(
    ("http", "grpc"),
    [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (431, 13), (502, 14), (503, 14), (504, 14), (200, 2),
     (301, 2), (500, 2)],
)  # fmt: skip
def test_what_stands_for_an_http_status(http, grpc):
    assert status_of(http) == grpc


@pytest.mark.parametrize(("grpc", "http"), [(0, 200), (1, 499), (4, 504), (14, 503), (16, 401), (17, 599), (-1, 599)])
def test_what_a_grpc_status_stands_for(grpc, http):
    assert http_status_of(grpc, 599) == http


@pytest.mark.parametrize(
    ("message", "encoded"),
    [(b"all well", b"all well"), (b"50%", b"50%25"), ("Grüße\n".encode(), b"Gr%C3%BC%C3%9Fe%0A"), (b"\x7f", b"%7F")],
)
def test_the_message(message, encoded):
    assert percent_encoded(message) == encoded


@given(st.binary(max_size=50))
def test_any_message_comes_back(message):
    encoded = percent_encoded(message)
    assert unquote_to_bytes(encoded) == message and all(0x20 <= byte < 0x7F for byte in encoded)
