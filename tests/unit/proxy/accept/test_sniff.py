"""What first bytes say, however few they are."""

import pytest

from nodemesh.proxy.accept.sniff import (
    HTTP1,
    HTTP2,
    HTTP10,
    MAX_LINE,
    METHODS,
    PREFACE,
    TCP,
    TLS,
    UNDECIDED,
    classify,
    version,
)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_with_its_space_is_http(method):
    for size in range(len(method)):
        assert classify(method[:size]) == UNDECIDED
    assert classify(method) == classify(method + b"/ HTTP/1.1\r\n") == HTTP1


def test_a_first_line_says_the_version():
    for line, kind in (
        (b"GET / HTTP/1.1\r\n", HTTP1),
        (b"GET / HTTP/1.0\r\n", HTTP10),
        (b"GET / HTTP/1.0\n", HTTP10),
        (b"GET /\r\n", TCP),
        (b"GET key\r\n", TCP),
        (b"GET / HTTP/1.2\r\n", TCP),
    ):
        assert version(line) == kind
        assert all(version(line[:size]) == UNDECIDED for size in range(len(line)))
    assert version(b"GET /" + b"a" * MAX_LINE) == HTTP1


def test_the_preface_is_http2_when_it_is_complete():
    for size in range(len(PREFACE)):
        assert classify(PREFACE[:size]) == UNDECIDED
    assert classify(PREFACE + b"\0") == HTTP2


def test_a_handshake_record_is_tls():
    assert classify(b"\x16") == UNDECIDED
    assert classify(b"\x16\x03") == classify(b"\x16\x03\x01\x02\x00") == TLS
    assert classify(b"\x16\x02") == TCP


@pytest.mark.parametrize("data", [b"*1\r\n", b"GETX", b"get /", b"EHLO", b"\0", b"PRI * HTTP/1.1"])
def test_all_else_is_tcp(data):
    assert classify(data) == TCP
