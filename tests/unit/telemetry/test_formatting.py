import msgspec
import pytest
from tests.unit.telemetry.samples import connection, line_of, request

from nodemesh.config.commands import MUST, FormatError
from nodemesh.config.log_format import OPERATORS
from nodemesh.config.meta import Location
from nodemesh.reasons import Reason
from nodemesh.routing.decision import Owner, Rule
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.values import FIELD_LIMIT

REVIEWS = Owner(kind="VirtualService", namespace="shop", name="reviews")


def test_default_text_is_istios():
    assert line_of(LogFormatter(), request()).decode() == (
        '[2023-11-14T22:13:20.250Z] "GET /reviews/1?full=1 HTTP/1.1" 200 - via_upstream - "-" 0 120 12 12 "-" "curl/8" '
        '"4f6b" "reviews:9080" "10.0.0.7:9080" outbound|9080|v2|reviews.default.svc.cluster.local 10.0.0.1:40000 '
        "10.96.0.5:9080 10.0.0.1:39999 - default\n"
    )


def test_default_json_has_istios_24_keys_and_who_asked_with_numbers_and_null():
    line = msgspec.json.decode(line_of(LogFormatter(json=True), request()))
    assert len(line) == 24 + 3
    assert line["response_code"] == 200
    assert line["response_flags"] == "-"  # as Envoy 1.40; all else that is empty is null
    assert line["connection_termination_details"] is None
    assert (line["source_workload"], line["source_namespace"]) == ("productpage-v1", "default")
    assert line["destination_workload"] == "reviews-v2"
    assert line["start_time"] == "2023-11-14T22:13:20.250Z"
    assert line["upstream_cluster"] == "outbound|9080|v2|reviews.default.svc.cluster.local"


def test_flags_and_details_name_the_reason():
    record = request(status=503, reasons=(Reason.UPSTREAM_CONNECTION_FAILURE, Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED))
    line = line_of(LogFormatter("%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%"), record)
    assert line == b"UF,URX via_upstream\n"


def test_a_reason_without_a_flag_shows_none():
    record = request(status=200, reasons=(Reason.DIRECT_RESPONSE,))
    assert line_of(LogFormatter("%RESPONSE_FLAGS%"), record) == b"-\n"
    assert msgspec.json.decode(line_of(LogFormatter('{"flags": "%RESPONSE_FLAGS%"}', json=True), record)) == {
        "flags": "-"
    }


def test_a_format_is_text_and_nothing_else():
    """Whatever a format holds between its operators is written as it is: it never becomes code."""
    text = "{record.path}' %% () \"\"\" \\n %%(status)s %REQ(:METHOD)% {0} %REQ(x'?_)% %ENVIRONMENT('+x)% \\"
    shown = text.replace("%REQ(:METHOD)%", "GET").replace("%REQ(x'?_)%", "-").replace("%ENVIRONMENT('+x)%", "-")
    shown = shown.replace("%%", "%")
    assert line_of(LogFormatter(text), request()).decode() == shown + "\n"
    found = msgspec.json.decode(line_of(LogFormatter(msgspec.json.encode({text: text}).decode(), json=True), request()))
    assert found == {text: shown}


def test_original_path_comes_before_the_rewritten_one():
    record = request()
    record.original_path = b"/old"
    assert line_of(LogFormatter("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%"), record) == b"/old\n"


def test_custom_formats_cut_escape_and_time():
    record = request()
    record.user_agent = b'evil"\x1b[31m'
    formatter = LogFormatter("%START_TIME(%Y.%3f)% 100%% %REQ(:PATH):4% %REQ(USER-AGENT)%")
    assert line_of(formatter, record) == b"2023.250 100% /rev evil\\x22\\x1b[31m\n"


def test_a_field_is_no_longer_than_its_limit():
    record = request()
    record.path = record.user_agent = b"x" * 60_000
    assert (
        line_of(LogFormatter("%REQ(:PATH)% %REQ(USER-AGENT)%"), record)
        == b" ".join([b"x" * FIELD_LIMIT + b"..."] * 2) + b"\n"
    )


def test_custom_json_keeps_types_where_an_operator_stands_alone():
    formatter = LogFormatter('{"code": "%RESPONSE_CODE%", "what": "%REQ(:METHOD)% %PROTOCOL%"}', json=True)
    assert msgspec.json.decode(line_of(formatter, request())) == {"code": 200, "what": "GET HTTP/1.1"}


def test_a_tcp_connection_has_no_request_part():
    assert line_of(LogFormatter(), connection(7, 9)).decode() == (
        '[2023-11-14T22:13:20.250Z] "- - -" 0 - - - "-" 9 7 12 - "-" "-" "-" "-" "10.0.0.7:9080" '
        "outbound|9080|v2|reviews.default.svc.cluster.local 10.0.0.1:40000 10.96.0.5:9080 10.0.0.1:39999 - default\n"
    )
    line = msgspec.json.decode(line_of(LogFormatter(json=True), connection(7, 9)))
    assert (line["method"], line["protocol"], line["response_code"], line["bytes_sent"]) == (None, None, 0, 7)
    assert line_of(LogFormatter("100%% %REQ(:PATH):4%%BYTES_SENT%"), connection(7, 9)) == b"100% -7\n"
    mixed = LogFormatter('{"what": "%PROTOCOL% 100%% of %BYTES_SENT%"}', json=True)
    assert msgspec.json.decode(line_of(mixed, connection(7, 9))) == {"what": "- 100% of 7"}


def test_lines_keep_the_order_of_their_records():
    formatter = LogFormatter("%ACCESS_LOG_TYPE% %BYTES_SENT%")
    lines = formatter.lines([connection(1, 0), request(), connection(2, 0), connection(3, 0), request()])
    of_request = b"DownstreamEnd 120\n"
    of_connections = [b"TcpConnectionEnd %d\n" % sent for sent in (1, 2, 3)]
    assert lines == [of_connections[0], of_request, *of_connections[1:], of_request]
    assert formatter.lines([]) == [] and LogFormatter(json=True).lines([]) == []


def test_a_format_without_operators_has_lines_too():
    assert LogFormatter("100%%").lines([request(), connection(1, 2)]) == [b"100%\n"] * 2
    assert LogFormatter("{}", json=True).lines([request(), connection(1, 2)]) == [b"{}\n"] * 2


def test_any_field_is_shown_and_only_those_that_are_named_are_wanted():
    formatter = LogFormatter("%REQ(X-Tenant?REFERER)% %REQ(referer):3% %RESP(Content-Type)% %TRAILER(grpc-message)%")
    wanted = formatter.wanted
    assert wanted.request == {b"x-tenant", b"referer"}
    assert (wanted.response, wanted.trailers) == ({b"content-type"}, {b"grpc-message"})
    record = request()
    assert line_of(formatter, record) == b"- - - -\n"
    record.fields = {b"referer": b"there"}
    record.response_fields = {b"content-type": b"text/html"}
    record.trailer_fields = {b"grpc-message": b'no"pe'}
    assert line_of(formatter, record) == b"there the text/html no\\x22pe\n"
    default = LogFormatter().wanted
    assert not default.request and not default.response and not default.trailers


def test_the_operators_that_people_use():
    record = request(status=503, reasons=(Reason.FAULT_DELAY, Reason.UPSTREAM_CONNECTION_FAILURE))
    record.transport_failure = "delayed connect error: Connection refused"
    record.grpc_status = 14
    record.received_at, record.answered_at = 0.002, 0.0125
    record.upstream_protocol, record.downstream_remote = b"HTTP/2", "[2001:db8::7]:39999"
    record.path, record.original_path = b"/new?x=1", b"/old?user=a%20b&x=2"
    record.rule = Rule(owner=REVIEWS, path="spec.http[0]", location=Location("mesh.yaml", 3, 5))
    record.fields = {b"traceparent": b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    expected = {
        "RESPONSE_FLAGS_LONG": "DelayInjected,UpstreamConnectionFailure",
        "RESPONSE_CODE_DETAILS": "upstream_reset_before_response_started"
        "{remote_connection_failure|delayed_connect_error:_Connection_refused}",
        "UPSTREAM_TRANSPORT_FAILURE_REASON": "delayed_connect_error:_Connection_refused",
        "GRPC_STATUS": "Unavailable",
        "GRPC_STATUS(SNAKE_STRING)": "UNAVAILABLE",
        "GRPC_STATUS(NUMBER)": "14",
        "REQUEST_HEADER(:PATH)": "/new?x=1",
        "QUERY_PARAMS": "user=a%20b&x=2",
        "UPSTREAM_PROTOCOL": "HTTP/2",
        "START_TIME(%s %f)": "1700000000 250000000",
        "START_TIME_LOCAL(%s.%1f)": "1700000000.2",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(8)": "10.0.0.0/8",
        "REQUEST_DURATION": "2",
        "RESPONSE_DURATION": "12",
        "RESPONSE_TX_DURATION": "0",
        "COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)": "2000",
        "COMMON_DURATION(US_TX_BEG:US_RX_BEG)": "12",
        "COMMON_DURATION(US_CX_BEG:US_CX_END:ms)": "-",
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT": "2001:db8::7",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT(32)": "2001:db8::/32",
        "REQ_WITHOUT_QUERY(:PATH)": "/new",
        "PATH": "/old?user=a%20b&x=2",
        "PATH(NQ:PATH)": "/new",
        "QUERY_PARAM(user)": "a%20b",
        "DOWNSTREAM_REMOTE_PORT": "39999",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT": "10.96.0.5",
        "UPSTREAM_REMOTE_ADDRESS": "10.0.0.7:9080",
        "UPSTREAM_LOCAL_PORT": "40000",
        "TRACE_ID": "0af7651916cd43dd8448eb211c80319c",
        "SOURCE_WORKLOAD": "productpage-v1",
        "DESTINATION_WORKLOAD": "reviews-v2",
        "RULE": "VirtualService shop/reviews spec.http[0] (mesh.yaml:3:5)",
        "CEL(request.path)": "-",
        "DOWNSTREAM_TLS_VERSION": "-",
        "ACCESS_LOG_TYPE": "DownstreamEnd",
    }
    text = "\n".join(f"%{name}%" for name in expected)
    assert dict(zip(expected, line_of(LogFormatter(text), record).decode().splitlines(), strict=True)) == expected


def test_every_operator_that_is_known_gives_a_line_for_requests_and_connections():
    for name in sorted(OPERATORS):
        argument = {"COMMON_DURATION": "(DS_RX_BEG:DS_TX_END:ns)"}.get(name, "(x)")
        text = f"%{name}{argument if OPERATORS[name].argument == MUST else ''}%"
        for json in (False, True):
            formatter = LogFormatter(msgspec.json.encode({"": text}).decode() if json else text, json=json)
            assert line_of(formatter, request()) and line_of(formatter, connection(1, 2)), text


def test_b3_names_the_trace_too():
    record = request()
    many, single = b"64fe8b2a57d3eff7", b"80f198ee56343ba864fe8b2a57d3eff7"
    record.fields = {b"b3": single + b"-e457b5a2e4d86bd1-1"}
    assert line_of(LogFormatter("%TRACE_ID%"), record) == single + b"\n"
    record.fields = {b"x-b3-traceid": many}
    assert line_of(LogFormatter("%TRACE_ID%"), record) == many + b"\n"
    assert b"b3" in LogFormatter("%TRACE_ID%").wanted.request
    record.fields = {b"traceparent": b'00-"\x9b2J' + b"a" * 28 + b"-00f067aa0ba902b7-01"}
    assert line_of(LogFormatter("%TRACE_ID%"), record) == b"\\x22\\x9b2J" + b"a" * 28 + b"\n", "as any other field"


def test_an_unknown_operator_makes_no_formatter():
    with pytest.raises(FormatError, match="NONSENSE"):
        LogFormatter("%NONSENSE%")


def test_a_response_s_status_is_a_number_as_an_operator_and_text_as_a_field():
    """As in Envoy, where all fields are text."""
    formatter = LogFormatter('{"code": "%RESPONSE_CODE%", "field": "%RESP(:STATUS)%"}', json=True)
    assert msgspec.json.decode(line_of(formatter, request())) == {"code": 200, "field": "200"}
    text = "%RESPONSE_CODE% %RESP(:STATUS)% %RESP(:STATUS):1% %RESP(:STATUS?x-other)%"
    assert line_of(LogFormatter(text), request()) == b"200 200 2 200\n"
