import pytest

from nodemesh.config.commands import FormatError
from nodemesh.config.load import load_text
from nodemesh.config.log_format import FIELDS_LIMIT, check_format, operators


def test_operators_come_with_their_arguments_and_lengths():
    found = [each[2:] for each in operators("a %REQ(X?Y):8% 100%% %START_TIME%")]
    assert found == [("REQ", "X?Y", 8), ("", "", -1), ("START_TIME", "", -1)]


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("%NONSENSE%", 0, "not one of"),
        ("code %RESPONSE_COD%", 5, "RESPONSE_CODE"),
        ("%PROTOCOL:3%", 0, "cannot be cut"),
        ("%BYTES_SENT(x)%", 0, "takes no argument"),
        ("ab %REQ%", 3, "needs an argument"),
        ("%REQ(a b)%", 0, "field's name"),
        ("%REQ(a?b?c)%", 0, "field's name"),
        ("100% sure", 3, "write %% for"),
        ("%COMMON_DURATION(DS_RX_BEG:NEVER)%", 0, "points are"),
        ("%COMMON_DURATION(DS_RX_BEG:DS_RX_END:h)%", 0, "units ms, us, ns"),
    ],
)
def test_what_no_log_can_show_is_named_with_its_place(text, offset, words):
    with pytest.raises(FormatError, match=words) as error:
        check_format(text, json=False)
    assert error.value.offset == offset


def test_a_json_format_is_an_object_of_texts():
    check_format('{"a": "%PROTOCOL%"}', json=True)
    with pytest.raises(FormatError, match="object of strings"):
        check_format("[1]", json=True)
    text = '{"a": "%PROTOCOL%", "b": "x %NONE%"}'
    with pytest.raises(FormatError) as error:
        check_format(text, json=True)
    assert text[error.value.offset :].startswith("%NONE%")


def test_a_format_keeps_so_many_fields_and_no_more():
    for operator in ("REQ", "RESPONSE_HEADER", "REQ_WITHOUT_QUERY"):
        with pytest.raises(FormatError, match="are kept"):
            check_format("".join(f"%{operator}(x-{number})%" for number in range(FIELDS_LIMIT + 1)), json=False)


def test_the_sources_metrics_are_always_there():
    text = """apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default}
spec: {metrics: {reporters: [destination], sizeHistograms: false, expiry: 5m}}
"""
    (problem,) = load_text(text, "mesh.yaml").problems
    assert (problem.code, problem.path) == ("bad-enum", "spec.metrics.reporters")


def test_a_wrong_format_is_an_error_of_lint_at_its_line():
    text = """apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default}
spec:
  accessLogFile: /dev/stdout
  accessLogFormat: "%PROTOCOL% %NOTHING%"
"""
    (problem,) = load_text(text, "mesh.yaml").problems
    assert (problem.code, problem.refused, problem.path) == ("bad-log-format", True, "spec.accessLogFormat")
    assert str(problem.location) == "mesh.yaml:6:20"
    assert "%NOTHING% is not one of Envoy's command operators" in problem.message and "character 12" in problem.message
