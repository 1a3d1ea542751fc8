"""What variables stand for. Values are those that Envoy 1.40 gave for the same request."""

import pytest

from nodemesh.config.commands import COMMANDS, MUST, Command, parse
from nodemesh.proxy.http.head import RequestHead, ResponseHead
from nodemesh.proxy.http.variables import VALUES, RequestFacts, Variable, tls_value
from nodemesh.proxy.http1.request import read_request
from nodemesh.reasons import Reason
from nodemesh.routing.client import Client
from nodemesh.telemetry.record import RequestRecord

HEAD = (
    b"GET /p/x?q=12345&r=a%20b HTTP/1.1\r\nHost: web:99\r\nUser-Agent: agent/7\r\nTE: trailers\r\nX-Two: a\r\nX-Two: b"
)


@pytest.fixture
def facts() -> RequestFacts:
    head: RequestHead = read_request(HEAD, b"http")
    record = RequestRecord(Client(namespace="default"))
    record.started = 1_796_007_241.566_25
    record.path = b"/p/x?q=12345&r=a%20b"
    record.request_id = b"d32ed8ba-3c11-4392-8f4d-45202073a94e"
    record.downstream_remote = "127.0.0.1:39580"
    record.downstream_local = "[2001:db8::1]:80"
    record.route_name = "rt"
    facts = RequestFacts(record, head, "127.0.0.1:39580")
    facts.began, facts.now, facts.wall = 10.0, 10.25, 1_796_007_242.0
    return facts


def value(facts: RequestFacts, text: str) -> bytes:
    (command,) = parse(text)
    assert isinstance(command, Command)
    return Variable(command).value(facts)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("%START_TIME%", b"2026-11-30T02:54:01.566Z"),
        ("%START_TIME(%s)%", b"1796007241"),
        ("%START_TIME(%s.%3f)%", b"1796007241.566"),
        ("%START_TIME(%Y/%m/%dT%H:%M:%S%z)%", b"2026/11/30T02:54:01+0000"),
        ("%START_TIME(%6f)%", b"566250"),
        ("%EMIT_TIME(%s)%", b"1796007242"),
        ("%PROTOCOL%", b"HTTP/1.1"),
        ("%RESPONSE_CODE%", b"0"),
        ("%RESPONSE_CODE_DETAILS%", b""),
        ("%RESPONSE_FLAGS%", b"-"),
        ("%DURATION%", b"250"),
        ("%ROUTE_NAME%", b"rt"),
        ("%UPSTREAM_HOST%", b""),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", b"127.0.0.1:39580"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", b"127.0.0.1"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)%", b"127.0.0.0/16"),
        ("%DOWNSTREAM_REMOTE_PORT%", b"39580"),
        ("%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", b"2001:db8::1"),
        ("%REQ(user-agent)%", b"agent/7"),
        ("%REQ(User-Agent):3%", b"age"),
        ("%REQ(x-none)%", b""),
        ("%REQ(x-none?user-agent)%", b"agent/7"),
        ("%REQ(:path)%", b"/p/x?q=12345&r=a%20b"),
        ("%REQ(:authority)%", b"web:99"),
        ("%REQ(host)%", b"web:99"),
        ("%REQ(:scheme)%", b"http"),
        ("%REQ(:method)%", b"GET"),
        ("%REQ(te)%", b"trailers"),
        ("%REQ(x-two)%", b"a"),
        ("%REQ(x-envoy-original-path?:path)%", b"/p/x?q=12345&r=a%20b"),
        ("%REQ(x-request-id)%", b"d32ed8ba-3c11-4392-8f4d-45202073a94e"),
        ("%REQ(x-forwarded-proto)%", b"http"),
        ("%RESP(server)%", b""),
        ("%PATH%", b"/p/x?q=12345&r=a%20b"),
        ("%PATH(NQ)%", b"/p/x"),
        ("%PATH(WQ):3%", b"/p/"),
        ("%PATH(WQ:ORIG)%", b""),
        ("%QUERY_PARAM(q)%", b"12345"),
        ("%QUERY_PARAM(q):2%", b"12"),
        ("%QUERY_PARAM(none)%", b""),
        ("%QUERY_PARAMS%", b"q=12345&r=a%20b"),
        ("%STREAM_ID%", b"d32ed8ba-3c11-4392-8f4d-45202073a94e"),
        ("%ENVIRONMENT(NODEMESH_NOT_SET)%", b"-"),
        ("%GRPC_STATUS%", b""),
        ("%ACCESS_LOG_TYPE%", b"NotSet"),
        ("%DOWNSTREAM_PEER_SUBJECT%", b""),
        ("%DOWNSTREAM_TLS_VERSION%", b""),
        ('%DYNAMIC_METADATA(["a","b"])%', b""),
    ],
)
def test_values_while_the_request_goes_out(facts, text, shown):
    assert value(facts, text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("%RESPONSE_CODE%", b"200"),
        ("%RESPONSE_CODE_DETAILS%", b"via_upstream"),
        ("%RESP(x-powered-by)%", b"php"),
        ("%RESP(x-none?x-two)%", b"a"),
        ("%RESP(:status)%", b"200"),
        ("%RESP(content-length)%", b"5"),
        ("%UPSTREAM_HOST%", b"127.0.0.1:37357"),
        ("%UPSTREAM_REMOTE_PORT%", b"37357"),
        ("%UPSTREAM_PROTOCOL%", b"HTTP/2"),
        ("%GRPC_STATUS%", b"DeadlineExceeded"),
        ("%GRPC_STATUS(SNAKE_STRING)%", b"DEADLINE_EXCEEDED"),
        ("%GRPC_STATUS_NUMBER%", b"4"),
    ],
)
def test_values_when_the_response_has_come(facts, text, shown):
    names = frozenset({b"x-powered-by", b"x-two"})
    facts.response = ResponseHead(200, b"", [b"X-Powered-By: php", b"x-two: a", b"x-two: b"], names, length=5)
    facts.record.status, facts.record.grpc_status = 200, 4
    facts.record.upstream_host = "127.0.0.1:37357"
    facts.record.upstream_protocol = b"HTTP/2"
    assert value(facts, text) == shown


def test_how_a_request_failed(facts):
    facts.record.reasons = (Reason.UPSTREAM_CONNECTION_FAILURE, Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED)
    assert value(facts, "%RESPONSE_FLAGS%") == b"UF,URX"
    assert value(facts, "%RESPONSE_FLAGS_LONG%") == b"UpstreamConnectionFailure,UpstreamRetryLimitExceeded"


def test_every_value_is_of_a_variable_that_there_is():
    assert COMMANDS.keys() >= VALUES.keys()
    told = {name for name in COMMANDS if tls_value(name) is not None}
    assert "DOWNSTREAM_PEER_URI_SAN" in told and "UPSTREAM_TLS_VERSION" in told
    for name in COMMANDS:  # none of them is a text any more
        argument = "(DS_RX_BEG:DS_TX_END)" if name == "COMMON_DURATION" else "(a)"
        (command,) = parse(f"%{name}{argument if COMMANDS[name].argument == MUST else ''}%")
        assert not isinstance(command, str)
