"""The client against real servers on loopback: what it sends, what it tells."""

import json
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from nodemesh.lab import client
from nodemesh.lab.client import Job


class Echo(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        said = json.dumps([self.command, self.path, self.headers.get("x-mark"), body]).encode()
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    do_GET = do_POST

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def port():
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_request_is_sent_as_asked_and_no_redirect_followed(port):
    job = Job(f"http://127.0.0.1:{port}/a?b=c", method="POST", headers={"X-Mark": "m"}, body="text")
    answer = client.send(job)
    assert answer.json() == ["POST", "/a?b=c", "m", "text"]
    assert (answer.status, answer.headers["location"], answer.error) == (302, "/elsewhere", "")
    assert 0 < answer.seconds < job.timeout


def test_a_count_is_sent_by_several_at_a_time(port):
    answers = client.send_all(Job(f"http://127.0.0.1:{port}/", count=10, concurrency=3))
    assert [answer.status for answer in answers] == [302] * 10


def test_a_duration_is_filled_with_requests_in_order(port):
    answers = client.send_all(Job(f"http://127.0.0.1:{port}/", duration=0.2))
    assert len(answers) >= 2
    assert [answer.began for answer in answers] == sorted(answer.began for answer in answers)


def test_no_answer_has_status_0_and_a_reason():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        slow = client.send(Job(url, timeout=0.05))
    refused = client.send(Job(url))
    assert (slow.status, slow.error.split(":")[0]) == (0, "TimeoutError")
    assert (refused.status, refused.error.split(":")[0]) == (0, "ConnectionRefusedError")
    assert refused.json() is None


def test_as_a_script_it_reads_and_writes_json(port):
    job = json.dumps(Job(f"http://127.0.0.1:{port}/", count=2).__dict__)
    done = subprocess.run(
        [sys.executable, "-IS", client.__file__], input=job, capture_output=True, text=True, timeout=30
    )
    assert [client.HttpAnswer(**answer).status for answer in json.loads(done.stdout)] == [302, 302]
