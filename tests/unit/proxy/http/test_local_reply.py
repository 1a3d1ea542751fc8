"""Every answer that the proxy gives itself, word for word."""

import pytest

from nodemesh.proxy.http.local_reply import REPLIES, body_of, grpc_reply, http_reply
from nodemesh.reasons import Reason

RESET = b"upstream connect error or disconnect/reset before headers. "


@pytest.mark.parametrize(
    ("reason", "status", "body"),
    [
        (Reason.ROUTE_NOT_FOUND, 404, b""),
        (Reason.CLUSTER_NOT_FOUND, 503, b""),
        (Reason.BLACKHOLE, 502, b""),
        (Reason.NO_HEALTHY_UPSTREAM, 503, b"no healthy upstream"),
        (Reason.UPSTREAM_CONNECTION_TIMEOUT, 503, RESET + b"reset reason: connection timeout"),
        (Reason.UPSTREAM_CONNECTION_TERMINATION, 503, RESET + b"reset reason: connection termination"),
        (Reason.UPSTREAM_REMOTE_RESET, 503, RESET + b"reset reason: remote reset"),
        (Reason.UPSTREAM_OVERFLOW, 503, RESET + b"reset reason: overflow"),
        (Reason.UPSTREAM_PROTOCOL_ERROR, 502, RESET + b"reset reason: protocol error"),
        (Reason.RESPONSE_TIMEOUT, 504, b"upstream request timeout"),
        (Reason.PER_TRY_TIMEOUT, 504, b"upstream request timeout"),
        (Reason.FAULT_ABORT, 503, b"fault filter abort"),
    ],
)
def test_status_and_body(reason, status, body):
    assert REPLIES[reason].status == status and body_of(reason, False, "") == body


def test_a_connection_failure_says_why_and_whether_it_was_retried():
    assert body_of(Reason.UPSTREAM_CONNECTION_FAILURE, True, "delayed connect error: Connection refused") == (
        RESET + b"retried and the latest reset reason: remote connection failure, "
        b"transport failure reason: delayed connect error: Connection refused"
    )


def test_only_overflow_says_overloaded():
    assert {reason for reason, reply in REPLIES.items() if reply.overloaded} == {
        Reason.UPSTREAM_OVERFLOW,
        Reason.LIMIT_PER_POD,
    }


@pytest.mark.parametrize(
    ("body", "said", "edits"),
    [
        (b"x", {}, {b"content-type": b"content-type: text/plain"}),
        (b"{}", {b"content-type": b"content-type: a/b"}, {b"content-type": b"content-type: a/b"}),
        (b"", {}, {}),
    ],
)
def test_a_body_is_plain_text_unless_told_otherwise(body, said, edits):
    head = http_reply(503, body, said)
    assert said == edits and head.lines == [] and head.length == len(body)


@pytest.mark.parametrize(
    ("status", "grpc"),
    [(400, 13), (401, 16), (403, 7), (404, 12), (429, 14), (502, 14), (503, 14), (504, 14), (418, 2)],
)
def test_grpc_statuses(status, grpc):
    edits = {b"content-type": b"content-type: text/plain"}
    head = grpc_reply(status, b"a b%\n", -1, edits)
    assert head.status == 200 and head.grpc_status == grpc and head.length == 0
    assert [*edits.values()] == [
        b"content-type: application/grpc",
        b"grpc-status: %d" % grpc,
        b"grpc-message: a b%25%0A",
    ]


def test_a_grpc_abort_has_its_own_status():
    assert grpc_reply(200, b"fault filter abort", 8, {}).grpc_status == 8
