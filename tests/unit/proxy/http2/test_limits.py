"""What is announced of the limits."""

from __future__ import annotations

from nodemesh.proxy.http2.limits import Http2Limits


def test_a_server_says_what_a_client_may():
    assert dict(Http2Limits().announced(True)) == {3: 1024, 4: 262144, 6: 61440, 9: 1, 8: 1}
    assert dict(Http2Limits(streams=100, window=5, head=7, connect=False).announced(True)) == {3: 100, 4: 5, 6: 7, 9: 1}


def test_a_client_wants_no_pushes():
    assert dict(Http2Limits().announced(False)) == {2: 0, 4: 262144, 6: 61440, 9: 1}
