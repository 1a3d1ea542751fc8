import msgspec
import pytest
from tests.unit.telemetry.samples import connection, request

from nodemesh.reasons import Reason
from nodemesh.telemetry.formatting import FIELD_LIMIT, FormatError, Formatter


def test_default_text_is_istios():
    assert Formatter().line(request()).decode() == (
        '[2023-11-14T22:13:20.250Z] "GET /reviews/1?full=1 HTTP/1.1" 200 - via_upstream - "-" 0 120 12 12 "-" "curl/8" '
        '"4f6b" "reviews:9080" "10.0.0.7:9080" outbound|9080|v2|reviews.default.svc.cluster.local 10.0.0.1:40000 '
        "10.96.0.5:9080 10.0.0.1:39999 - default\n"
    )


def test_default_json_has_istios_24_keys_with_numbers_and_null():
    line = msgspec.json.decode(Formatter(json=True).line(request()))
    assert len(line) == 24
    assert line["response_code"] == 200
    assert line["response_flags"] is None
    assert line["start_time"] == "2023-11-14T22:13:20.250Z"
    assert line["upstream_cluster"] == "outbound|9080|v2|reviews.default.svc.cluster.local"


def test_flags_and_details_name_the_reason():
    record = request(status=503, reasons=(Reason.UPSTREAM_CONNECTION_FAILURE, Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED))
    line = Formatter("%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%").line(record)
    assert line == b"UF,URX upstream_retry_limit_exceeded\n"


def test_a_reason_without_a_flag_shows_none():
    record = request(status=200, reasons=(Reason.DIRECT_RESPONSE,))
    assert Formatter("%RESPONSE_FLAGS%").line(record) == b"-\n"
    assert msgspec.json.decode(Formatter('{"flags": "%RESPONSE_FLAGS%"}', json=True).line(record)) == {"flags": None}


def test_a_format_is_text_and_nothing_else():
    """Whatever a format holds between its operators is written as it is: it never becomes code."""
    text = '{record.path}\' % () """ \\n %(status)s %REQ(:METHOD)% {0} \\'
    assert Formatter(text).line(request()).decode() == text.replace("%REQ(:METHOD)%", "GET") + "\n"
    found = msgspec.json.decode(Formatter(msgspec.json.encode({text: text}).decode(), json=True).line(request()))
    assert found == {text: text.replace("%REQ(:METHOD)%", "GET")}


def test_original_path_comes_before_the_rewritten_one():
    record = request()
    record.original_path = b"/old"
    assert Formatter("%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%").line(record) == b"/old\n"


def test_custom_formats_cut_escape_and_time():
    record = request()
    record.user_agent = b'evil"\x1b[31m'
    formatter = Formatter("%START_TIME(%Y.%3f)% 100%% %REQ(:PATH):4% %REQ(USER-AGENT)%")
    assert formatter.line(record) == b"2023.250 100% /rev evil\\x22\\x1b[31m\n"


def test_a_field_is_no_longer_than_its_limit():
    record = request()
    record.path = record.user_agent = b"x" * 60_000
    assert (
        Formatter("%REQ(:PATH)% %REQ(USER-AGENT)%").line(record) == b" ".join([b"x" * FIELD_LIMIT + b"..."] * 2) + b"\n"
    )


def test_custom_json_keeps_types_where_an_operator_stands_alone():
    formatter = Formatter('{"code": "%RESPONSE_CODE%", "what": "%REQ(:METHOD)% %PROTOCOL%"}', json=True)
    assert msgspec.json.decode(formatter.line(request())) == {"code": 200, "what": "GET HTTP/1.1"}


def test_a_tcp_connection_has_no_request_part():
    assert Formatter().line(connection(7, 9)).decode() == (
        '[2023-11-14T22:13:20.250Z] "- - -" 0 - - - "-" 9 7 12 - "-" "-" "-" "-" "10.0.0.7:9080" '
        "outbound|9080|v2|reviews.default.svc.cluster.local 10.0.0.1:40000 10.96.0.5:9080 10.0.0.1:39999 - default\n"
    )
    line = msgspec.json.decode(Formatter(json=True).line(connection(7, 9)))
    assert (line["method"], line["protocol"], line["response_code"], line["bytes_sent"]) == (None, None, 0, 7)
    assert Formatter("100%% %REQ(:PATH):4%%BYTES_SENT%").line(connection(7, 9)) == b"100% -7\n"
    mixed = Formatter('{"what": "%PROTOCOL% 100%% of %BYTES_SENT%"}', json=True)
    assert msgspec.json.decode(mixed.line(connection(7, 9))) == {"what": "- 100% of 7"}


@pytest.mark.parametrize("text", ["%NONSENSE%", "%REQ(X-SECRET)%", "%BYTES_SENT(x)%"])
def test_what_is_not_recorded_is_named(text):
    with pytest.raises(FormatError, match=text.strip("%").split("(")[0]):
        Formatter(text)
