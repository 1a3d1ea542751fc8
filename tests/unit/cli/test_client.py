"""What the admin API's client makes of addresses, and of servers that are no agent."""

import http.server
import socket
import threading
from collections.abc import Iterator

import pytest

from nodemesh.cli.client import address_of, fetch
from nodemesh.cli.output import CommandError


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("127.0.0.1:15001", "127.0.0.1:15001"),
        ("10.0.0.7", "10.0.0.7:15000"),
        ("15001", "127.0.0.1:15001"),
        (":15001", "127.0.0.1:15001"),
        ("[::1]:15001", "[::1]:15001"),
        ("http://127.0.0.1:15001/", "127.0.0.1:15001"),
    ],
)
def test_an_address_is_written_as_for_run(written, meant):
    assert str(address_of(written)) == meant


@pytest.mark.parametrize("written", ["127.0.0.1:99999", "127.0.0.1:port"])
def test_what_is_no_address_is_one_sentence(written):
    with pytest.raises(CommandError, match="is not an address; write it as 127.0.0.1:15000"):
        address_of(written)


class Stranger(http.server.BaseHTTPRequestHandler):
    """Somebody else's server: its path says what it answers with."""

    def do_GET(self) -> None:
        status, body = (404, b'{"error": 5}') if self.path == "/missing" else (200, b'{"a": []}')
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stranger() -> Iterator[str]:
    server = http.server.HTTPServer(("127.0.0.1", 0), Stranger)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("path", ["/status", "/missing"])
def test_json_of_somebody_else_is_no_agents_answer(stranger, path):
    with pytest.raises(CommandError, match=f"what answers at {stranger} is no nodemesh agent"):
        fetch(stranger, path)


def test_a_server_that_speaks_no_http_is_no_agent():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            with listener.accept()[0] as connection:
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
                connection.recv(4096)

        threading.Thread(target=greet, daemon=True).start()
        with pytest.raises(CommandError, match="is no nodemesh agent"):
            fetch(f"127.0.0.1:{listener.getsockname()[1]}", "/status")


def test_an_address_with_a_blank_is_one_sentence():
    with pytest.raises(CommandError):
        fetch("a b:80", "/status")
