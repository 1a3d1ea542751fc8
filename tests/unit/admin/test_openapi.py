"""The document says what the API does: its paths, its parameters, and the shapes of its answers."""

import json
from pathlib import Path

import msgspec
import pytest
from tests.unit.admin.meshes import PageNode
from tests.unit.admin.nodes import FakeNode, ask

from nodemesh.admin.http import AdminApi
from nodemesh.admin.openapi import document, reference
from nodemesh.admin.operations import OPERATIONS

PAGE = Path(__file__).parents[3] / "manifests" / "docs" / "admin-api.md"
READ = [operation for operation in OPERATIONS if operation.answers and operation.path != "/graph/live"]


def test_the_written_page_is_in_step():
    assert PAGE.read_text() == reference(), "write nodemesh.admin.openapi.reference() to manifests/docs/admin-api.md"


def test_every_path_is_in_the_document_and_is_only_read():
    application = AdminApi(FakeNode()).application()
    served = {(route.method, route.resource.canonical) for route in application.router.routes()}
    assert served == {(method, path) for path in document()["paths"] for method in ("GET", "HEAD")}
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        assert {status for status, _ in ask(FakeNode(), "/status", "/", "/config/problems", method=method)} == {405}


def test_the_document_is_served_and_whole():
    ((status, body),) = ask(FakeNode(), "/openapi.json")
    assert status == 200 and body == json.loads(msgspec.json.encode(document()))
    text = json.dumps(body)
    for part in text.split('"$ref": "')[1:]:
        assert part.partition('"')[0].rpartition("/")[2] in body["components"]["schemas"]


@pytest.mark.parametrize("operation", READ, ids=lambda operation: operation.path)
def test_answers_have_the_shape_that_is_written(operation):
    for node in (FakeNode(), PageNode(5)):
        if "as" in [parameter.name for parameter in operation.parameters]:
            continue  # held against a running agent in tests/unit/cli/test_run_telemetry.py
        if operation.path == "/rollback":
            continue  # held against a running agent in tests/unit/cli/test_history.py
        ((status, body),) = ask(node, operation.path)
        assert status in (200, 503)
        if operation.path == "/changes" and isinstance(node, FakeNode):
            continue  # it has made none
        msgspec.convert(body, operation.answers[0], strict=True)


def test_the_picture_has_the_shape_that_is_written():
    ((_, body),) = ask(PageNode(5), "/graph?window=60")
    (operation,) = [each for each in OPERATIONS if each.path == "/graph/live"]
    assert msgspec.convert(body, operation.answers[0]).edges
