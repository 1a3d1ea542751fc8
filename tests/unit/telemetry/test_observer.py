"""Which clients' requests are logged, and how."""

import os

import msgspec
from tests.asking import views_of_text
from tests.unit.routing.test_observation import MESH, telemetry
from tests.unit.telemetry.samples import request

from nodemesh.routing.client import Client
from nodemesh.routing.observation import TraceRule
from nodemesh.telemetry.access_log import AccessLog, open_log
from nodemesh.telemetry.dump import Dump
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.observer import wanted_by
from nodemesh.telemetry.operators import ShownFields
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.trace import Trace

OTHER = Client(namespace="other", name="a")


def logged(tmp_path, spec, *records):
    """The lines in the mesh's log and in the provider `file`'s."""
    paths = [tmp_path / name for name in ("own", "file")]
    fds = [open_log(str(path)) for path in paths]
    own, file = (AccessLog(fd, LogFormatter("%RESPONSE_CODE%")) for fd in fds)
    worker = Telemetry(own)
    worker.logs = {"": own, "envoy": own, "file": file}
    worker.see(views_of_text(MESH, telemetry("a", "default", spec)).tables)
    for record in records:
        worker.record(record)
    worker.flush()
    for fd in fds:
        os.close(fd)
    return [path.read_text().split() for path in paths]


def test_what_is_said_of_a_namespace_is_for_its_clients_alone(tmp_path):
    spec = "{accessLogging: [{disabled: true}]}"
    assert logged(tmp_path, spec, request(), request(client=OTHER, status=201)) == [["201"], []]


def test_a_filter_chooses_and_a_provider_has_its_own_file(tmp_path):
    spec = "{accessLogging: [{providers: [{name: file}], filter: {expression: response.code >= 400}}]}"
    assert logged(tmp_path, spec, request(), request(status=503), request(client=OTHER)) == [["200"], ["503"]]


def test_an_unknown_provider_logs_nothing(tmp_path):
    assert logged(tmp_path, "{accessLogging: [{providers: [{name: nobody}]}]}", request()) == [[], []]


def test_fields_of_expressions_are_recorded():
    spec = (
        "{accessLogging: [{filter: {expression: \"'x-a' in request.headers\"}}], "
        "metrics: [{overrides: [{tagOverrides: {b: {value: \"response.headers['x-b']\"}}}]}]}"
    )
    wanted = ShownFields()
    wanted_by(views_of_text(MESH, telemetry("a", "default", spec)).tables, wanted)
    assert (wanted.request, wanted.response, wanted.trailers) == ({b"x-a"}, {b"x-b"}, set())


def test_a_client_that_has_everything_traced_takes_no_others_place(monkeypatch):
    monkeypatch.setattr("nodemesh.telemetry.telemetry.SPANS", 4)
    worker = Telemetry()
    worker.see(views_of_text(MESH, telemetry("a", "default", "{accessLogging: [{disabled: true}]}")).tables)
    for client in [request().client] * 10 + [OTHER]:
        record = request(client=client)
        record.trace = Trace(TraceRule(provider="otel"), b"a" * 32, b"b" * 16, b"", True)
        worker.record(record)
    dump = msgspec.msgpack.decode(worker.dump(), type=Dump)
    assert [span.service.rpartition(".")[2] for span in dump.spans].count("other") == 1
    assert len(dump.spans) == 4 and dump.spans_lost == 7


def test_who_is_not_meant_by_any_override_costs_nothing_to_tell(monkeypatch):
    worker = Telemetry()
    text = telemetry("a", "evil", "{metrics: [{overrides: [{tagOverrides: {a: {value: request.host}}}]}]}")
    worker.see(views_of_text(MESH, text).tables)
    monkeypatch.setattr("nodemesh.telemetry.observer.override_of", None)
    for number in range(3):
        worker.record(request(client=Client(namespace="other", name=f"a{number}")))
    worker.account()
