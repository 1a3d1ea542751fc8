from msgspec.structs import replace
from tests.asking import views_of_text
from tests.unit.routing.test_observation import telemetry

from nodemesh.node import access_logs as module
from nodemesh.node.access_logs import OWN, STDOUT, AccessLogs, LogSettings, settings_of
from nodemesh.telemetry.observer import wanted_by

MESH = """
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: istio-system}
spec:
  accessLogFormat: "%PROTOCOL%"
  extensionProviders:
  - {name: file, envoyFileAccessLog: {path: FILE, logFormat: {text: "%REQ(X-A)%"}}}
  - {name: json, envoyFileAccessLog: {path: FILE, logFormat: {labels: {code: "%RESPONSE_CODE%"}}}}
  - {name: idle, envoyFileAccessLog: {path: /nowhere}}
"""


def tables(spec="{}", mesh=MESH):
    return views_of_text(mesh.replace("FILE", "/dev/null"), telemetry("a", "shop", spec)).tables


def test_without_a_word_there_is_no_log():
    assert settings_of("", tables()) == {}
    assert settings_of("/tmp/a", tables()) == {OWN: LogSettings("/tmp/a", "%PROTOCOL%", False)}


def test_providers_that_telemetry_names_are_opened():
    spec = "{accessLogging: [{providers: [{name: file}, {name: json}, {name: nobody}]}, {}]}"
    assert settings_of("", tables(spec)) == {
        "file": LogSettings("/dev/null", "%REQ(X-A)%", False),
        "json": LogSettings("/dev/null", '{"code":"%RESPONSE_CODE%"}', True),
        "envoy": LogSettings(STDOUT, "%PROTOCOL%", False),
    }
    assert settings_of("/tmp/a", tables(spec))["envoy"].path == "/tmp/a"


def test_logs_stay_open_while_nothing_changes_and_share_a_file(tmp_path):
    found = LogSettings(str(tmp_path / "log"), "%REQ(X-A)%", False)
    logs = AccessLogs()
    logs.open({OWN: found, "envoy": found})
    assert logs.by_provider[OWN] is logs.by_provider["envoy"]
    before = logs.by_provider[OWN]
    logs.open({OWN: found, "envoy": found})
    assert logs.by_provider[OWN] is before
    logs.open({OWN: found, "envoy": found}, again=True)
    assert logs.by_provider[OWN] is not before
    wanted = logs.wanted(tables())
    assert wanted is not None and wanted.request == {b"x-a"}
    logs.open({})
    assert not logs.by_provider and logs.wanted(tables()) is None


def test_a_file_that_cannot_be_opened_leaves_the_others(tmp_path):
    logs = AccessLogs()
    logs.open(
        {OWN: LogSettings(str(tmp_path / "no" / "log"), "", False), "b": LogSettings(str(tmp_path / "b"), "", True)}
    )
    assert set(logs.by_provider) == {"b"}


def test_expressions_are_read_again_only_when_they_change(monkeypatch):
    spec = "{accessLogging: [{filter: {expression: \"'x-a' in request.headers\"}}]}"
    found, other = tables(spec), tables(spec.replace("x-a", "x-b"))
    logs, asked = AccessLogs(), []
    monkeypatch.setattr(module, "wanted_by", lambda each, wanted: (asked.append(each), wanted_by(each, wanted)))
    for each in (found, found, replace(found, version=7)):
        assert logs.wanted(each).request == {b"x-a"}
    assert len(asked) == 1
    assert logs.wanted(other).request == {b"x-b"}
