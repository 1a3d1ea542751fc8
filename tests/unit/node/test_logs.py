import json
import logging

import pytest

from nodemesh.node.logs import JsonLine, Log, TextLine, is_ours, quoted


def test_a_line_is_a_message_and_its_fields(caplog):
    with caplog.at_level(logging.INFO):
        Log("test").info("pod enrolled", pod="default/a", why="it is new")
    assert caplog.messages == ['pod enrolled pod=default/a why="it is new"']


def test_only_what_needs_quotes_has_them():
    assert (quoted("a"), quoted("a b"), quoted("")) == ("a", '"a b"', '""')
    assert quoted('say "a b"') == '"say \\"a b\\""'


def test_nothing_that_is_logged_begins_a_line_of_its_own(caplog):
    with caplog.at_level(logging.INFO):
        Log("test").info("key a\n2026 forged", pod="b\r\n2026 forged")
    assert caplog.messages == ['key a\\n2026 forged pod="b\\r\\n2026 forged"']


@pytest.fixture
def record(caplog):
    with caplog.at_level(logging.INFO):
        Log("test").warning("maps are full", services=3, why="it is new", time="taken")
    (found,) = caplog.records
    found.created = 1_700_000_000.25
    return found


def test_text_has_time_level_and_component(record):
    text = '2023-11-14T22:13:20.250Z warning worker-1: maps are full services=3 why="it is new" time=taken'
    assert TextLine("worker-1").format(record) == text


def test_json_has_the_same_and_the_particulars_by_their_names(record):
    assert json.loads(JsonLine("worker-1").format(record)) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "warning",
        "component": "worker-1",
        "message": "maps are full",
        "services": 3,
        "why": "it is new",
    }


def test_json_of_a_library_and_of_an_error_is_json_too(caplog):
    with caplog.at_level(logging.INFO):
        logging.getLogger("other").warning("%s bytes", 5)
        try:
            raise ValueError("broken")
        except ValueError:
            Log("test").exception("it went wrong")
    plain, error = (json.loads(JsonLine("control").format(each)) for each in caplog.records)
    assert plain["message"] == "5 bytes"
    assert (error["message"], error["level"]) == ("it went wrong", "error")
    assert "ValueError: broken" in error["exception"]
    assert "Traceback" in TextLine("control").format(caplog.records[1])


def test_what_a_client_sends_that_is_no_http_is_no_error_of_the_agents(caplog):
    from aiohttp.http_exceptions import BadHttpMessage

    def record(error):
        return logging.LogRecord("aiohttp.server", logging.ERROR, "x", 1, "x", (), (type(error), error, None))

    assert not is_ours(record(BadHttpMessage("400"))) and is_ours(record(ValueError("a bug")))
