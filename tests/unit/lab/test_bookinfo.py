"""Bookinfo's services: which asks which, what is handed on, what an answer names."""

import socket
import threading

import pytest

from nodemesh.lab import bookinfo
from nodemesh.lab.client import Job, send


@pytest.fixture
def asked(monkeypatch):
    """The calls to other services, recorded in the place of the network."""
    calls = []

    def ask(service, path, headers):
        calls.append((service, path, headers))
        return {"status": 200, "answer": {"service": service}}

    monkeypatch.setattr(bookinfo, "ask", ask)
    return calls


def test_the_page_asks_details_and_reviews(asked):
    said = bookinfo.content("productpage", "v1", "/productpage?u=test", {"end-user": "jason"})
    assert [(service, path) for service, path, _ in asked] == [("details", "/details/0"), ("reviews", "/reviews/0")]
    assert said["reviews"]["answer"]["service"] == "reviews"


@pytest.mark.parametrize(("version", "color"), [("v1", None), ("v2", "black"), ("v3", "red")])
def test_reviews_ask_ratings_from_v2_on(asked, version, color):
    said = bookinfo.content("reviews", version, "/reviews/0", {})
    assert said.get("color") == color
    assert [service for service, _, _ in asked] == ([] if color is None else ["ratings"])


def test_other_paths_ask_nobody(asked):
    assert bookinfo.content("productpage", "v1", "/health", {}) == {}
    assert bookinfo.content("reviews", "v2", "/", {}) == {} and asked == []


def test_an_answer_names_who_answered_and_repeats_what_arrived(monkeypatch):
    monkeypatch.setattr(bookinfo.BookinfoHandler, "service", "ratings")
    monkeypatch.setattr(bookinfo.BookinfoHandler, "version", "v1")
    with bookinfo.BookinfoServer(("::", 0), bookinfo.BookinfoHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for host in ("127.0.0.1", "[::1]"):
            answer = send(Job(f"http://{host}:{server.server_port}/ratings/0", headers={"End-User": "jason"}))
            said = answer.json()
            assert (said["service"], said["version"], said["pod"]) == ("ratings", "v1", socket.gethostname())
            assert (said["method"], said["path"], said["headers"]["end-user"]) == ("GET", "/ratings/0", "jason")
        server.shutdown()


def test_only_the_traces_and_the_user_are_handed_on(monkeypatch):
    monkeypatch.setattr(bookinfo.BookinfoHandler, "service", "ratings")
    monkeypatch.setattr(bookinfo.BookinfoHandler, "version", "v1")
    with bookinfo.BookinfoServer(("::", 0), bookinfo.BookinfoHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(bookinfo, "PORT", server.server_port)
        headers = {"end-user": "jason", "x-request-id": "1", "cookie": "secret"}
        seen = bookinfo.ask("localhost", "/ratings/0", headers)["answer"]["headers"]
        server.shutdown()
    assert (seen["end-user"], seen["x-request-id"]) == ("jason", "1") and "cookie" not in seen


def test_a_service_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(bookinfo, "PORT", 1)
    said = bookinfo.ask("127.0.0.1", "/", {})
    assert said["status"] == 0 and "ConnectionRefusedError" in said["error"]
