"""Which fields may come after a body."""

import pytest

from nodemesh.proxy.http.trailers import is_trailer


@pytest.mark.parametrize(
    "name",
    [
        b"content-length", b"transfer-encoding", b"connection", b"upgrade", b"te", b"trailer", b"host", b"forwarded",
        b"authorization", b"proxy-authorization", b"cookie", b"set-cookie", b"www-authenticate", b"x-forwarded-for",
        b"x-forwarded-client-cert", b"x_forwarded_for", b"x-envoy-max-retries", b"x-request-id", b"content-encoding",
        b"content-type", b"content-range", b"if-match", b"range", b"expect", b"cache-control", b"location", b"vary",
    ],
)  # fmt: skip
def test_what_only_a_head_may_say(name):
    assert not is_trailer(name)


@pytest.mark.parametrize("name", [b"grpc-status", b"grpc-message", b"x-checksum", b"etag", b"server-timing", b"digest"])
def test_what_is_passed_on(name):
    assert is_trailer(name)
