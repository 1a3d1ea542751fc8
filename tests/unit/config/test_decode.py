import pytest

from nodemesh.config.core import EndpointSliceSpec, ServiceSpec
from nodemesh.config.decode import decode
from nodemesh.config.destinationrule import DestinationRuleSpec
from nodemesh.config.load import load_text
from nodemesh.config.meshconfig import MeshConfigSpec
from nodemesh.config.problems import Findings, path_text
from nodemesh.config.virtualservice import HTTPRetry, HTTPRoute, StringMatch, VirtualServiceSpec


def told(data, spec):
    findings = Findings()
    assert decode(data, spec, ("spec",), findings) is None
    return [(item.code, path_text(item.path), item.message) for item in findings.items]


def good(data, spec):
    findings = Findings()
    found = decode(data, spec, ("spec",), findings)
    assert not findings.items
    return found


def test_plain_data_becomes_a_struct():
    rule = {"timeout": "1.5s", "match": [{"uri": {"prefix": "/"}}]}
    found = good({"hosts": ["a"], "http": [rule]}, VirtualServiceSpec)
    assert found.hosts == ("a",)
    assert found.http[0].timeout == 1500
    assert found.http[0].match[0].uri == StringMatch(prefix="/")


def test_the_slow_way_gives_what_the_fast_way_gives():
    fast = {"attempts": 3, "perTryTimeout": "2s", "retryOn": "5xx", "retryRemoteLocalities": True}
    slow = {"attempts": "3", "per_try_timeout": "2s", "retry_on": "5xx", "retryRemoteLocalities": True, "backoff": None}
    assert good(fast, HTTPRetry) == good(slow, HTTPRetry)


@pytest.mark.parametrize(("written", "number"), [(5, 5), ("5", 5), (5.0, 5), ("-7", -7), ("1e2", 100), ("5.0", 5)])
def test_whole_numbers(written, number):
    assert good({"attempts": written}, HTTPRetry).attempts == number


@pytest.mark.parametrize("written", [True, "x", 1.5, "1.5", [], {}, "inf", ""])
def test_no_whole_numbers(written):
    assert told({"attempts": written}, HTTPRetry)[0][:2] == ("wrong-type", "spec.attempts")


def test_numbers_have_their_ranges():
    ((code, path, message),) = told({"mirrorPercent": -1, "route": []}, HTTPRoute)
    assert (code, path) == ("out-of-range", "spec.mirrorPercent")
    assert "0 to 4294967295" in message


def test_floats():
    assert good({"mirrorPercentage": {"value": "0.1"}}, HTTPRoute).mirror_percentage.value == 0.1
    assert told({"mirrorPercentage": {"value": float("nan")}, "timeout": 1}, HTTPRoute)[0][0] == "wrong-type"
    assert told({"mirrorPercentage": {"value": "x"}}, HTTPRoute)[0][0] == "wrong-type"


def test_null_is_an_absent_field_but_no_element():
    assert good({"hosts": None, "http": None}, VirtualServiceSpec) == VirtualServiceSpec()
    assert told({"hosts": [None]}, VirtualServiceSpec)[0][:2] == ("null-element", "spec.hosts[0]")


def test_unknown_fields_are_guessed():
    assert "did you mean `timeout`?" in told({"timout": "1s"}, HTTPRoute)[0][2]
    assert "did you mean `perTryTimeout`?" in told({"perTryTimeOut": "1s"}, HTTPRetry)[0][2]
    assert "inside `uri`" in told({"match": [{"uri": None, "exact": "/x"}]}, HTTPRoute)[0][2]
    assert "known here: attempts" in told({"zzzzz": 1}, HTTPRetry)[0][2]


def test_all_errors_of_an_object_are_told():
    data = {"host": 1, "subsets": [{"name": True}, None, "x"], "trafficPolicy": {"tls": {"mode": "NO"}}, "x": 1}
    codes = sorted(code for code, _, _ in told(data, DestinationRuleSpec))
    assert codes == ["bad-enum", "null-element", "unknown-field", "wrong-type", "wrong-type", "wrong-type"]


def test_enums_name_their_values():
    ((_, path, message),) = told({"l7": "Always"}, MeshConfigSpec)
    assert path == "spec.l7"
    assert "did you mean always?" in message
    assert "auto, always, never" in message


@pytest.mark.parametrize(
    ("bare", "mend"),
    [("on", '"on"'), ("On", '"on"'), ("yes", '"on"'), ("true", '"on"'), ("off", '"off"'), ("no", '"off"')],
)
def test_an_enum_of_yamls_booleans_asks_for_quotes(bare, mend):
    text = (
        f"apiVersion: nodemesh.io/v1alpha1\nkind: MeshConfig\nmetadata: {{name: default}}\nspec: {{sockmap: {bare}}}\n"
    )
    (problem,) = load_text(text, "mesh.yaml").problems
    assert problem.refused and "expected one of off, auto, on, got the boolean" in problem.message
    assert problem.message.endswith(f"put it in quotes: {mend}")
    (mended,) = load_text(text.replace(f": {bare}}}", f": {mend}}}"), "mesh.yaml").objects
    assert f'"{mended.spec.sockmap}"' == mend
    others = ({"sockmap": 1}, {"l7": True})
    assert not any("quotes" in message for data in others for _, _, message in told(data, MeshConfigSpec))


def test_mends_are_written_out():
    assert 'put it in quotes: "true"' in told({"hosts": [True]}, VirtualServiceSpec)[0][2]
    assert "with its unit it is 5s" in told({"timeout": 5}, HTTPRoute)[0][2]
    assert "{value: 10}" in told({"mirrorPercentage": 10}, HTTPRoute)[0][2]
    assert "without quotes" in told({"retryRemoteLocalities": "true"}, HTTPRetry)[0][2]


def test_base64():
    assert good({"directResponse": {"body": {"bytes": "aGk"}}}, HTTPRoute).direct_response.body.bytes == b"hi"
    assert told({"directResponse": {"body": {"bytes": "*"}}}, HTTPRoute)[0][0] == "bad-base64"


def test_core_kinds_pass_over_what_does_not_matter():
    found = good({"ports": [{"port": 80, "targetPort": "web", "x": 1}], "y": 2}, ServiceSpec)
    assert found.ports[0].target_port == "web"
    assert good({"endpoints": None, "ports": None}, EndpointSliceSpec) == EndpointSliceSpec()
    assert told({"ports": [{"name": "a"}]}, ServiceSpec)[0][:2] == ("missing-field", "spec.ports[0].port")
    assert told({"ports": [{"port": 1, "targetPort": True}]}, ServiceSpec)[0][0] == "wrong-type"
