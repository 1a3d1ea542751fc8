"""The services of Bookinfo, Istio's sample: one script, `bookinfo.py SERVICE VERSION [PORT]`; stdlib only.

    productpage -> details
                -> reviews (v1: no stars, v2: black stars, v3: red stars) -> ratings (v2 and v3)

Every answer is JSON that names the service, its version and its pod, and repeats the path and the headers that
arrived, so that whoever asked sees which way the request went and what it looked like there. Any path is answered; only
the page, `/productpage`, and the reviews, `/reviews/…`, ask other services. They hand on the headers that a traced
application hands on, and know nothing of a mesh.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PORT = 9080

#: The user who is logged in, and the headers of Zipkin's and of the W3C's traces.
HANDED_ON = (
    "end-user",
    "x-request-id",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "traceparent",
    "tracestate",
)

_STARS = {"v2": "black", "v3": "red"}
_TIMEOUT = 10.0  # seconds that a service waits for another


def ask(service: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """What another service says: `{status, answer}`, or `{status, error}` where it says nothing useful."""
    connection = http.client.HTTPConnection(service, PORT, timeout=_TIMEOUT)
    try:
        connection.request("GET", path, headers={name: headers[name] for name in HANDED_ON if name in headers})
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        if response.status != 200:
            return {"status": response.status, "error": body}
        return {"status": 200, "answer": json.loads(body)}
    except (OSError, http.client.HTTPException, ValueError) as error:
        return {"status": 0, "error": f"{type(error).__name__}: {error}"}
    finally:
        connection.close()


def content(service: str, version: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    """What a service has to say by itself."""
    if service == "productpage" and path.partition("?")[0] == "/productpage":
        return {"details": ask("details", "/details/0", headers), "reviews": ask("reviews", "/reviews/0", headers)}
    if service == "details":
        return {"title": "The Comedy of Errors", "author": "William Shakespeare", "year": 1595, "pages": 200}
    if service == "reviews" and path.startswith("/reviews/"):
        reviews = {"reviewers": ["Reviewer1", "Reviewer2"]}
        if version not in _STARS:
            return reviews
        return {**reviews, "color": _STARS[version], "ratings": ask("ratings", "/ratings/0", headers)}
    if service == "ratings":
        return {"stars": {"Reviewer1": 5, "Reviewer2": 4}}
    return {}


class BookinfoHandler(BaseHTTPRequestHandler):
    """One connection: HTTP/1.1 with keep-alive, each answer in one write."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    service = ""
    version = ""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        said = {
            "service": self.service,
            "version": self.version,
            "pod": socket.gethostname(),
            "method": self.command,
            "path": self.path,
            "headers": headers,
            **content(self.service, self.version, self.path, headers),
        }
        body = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, format: str, *args: object) -> None:
        """No access log: the answers tell everything."""


class BookinfoServer(ThreadingHTTPServer):
    """Listens on every address of the pod, of both families where there are two."""

    daemon_threads = True
    request_queue_size = 1024
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def main() -> None:
    BookinfoHandler.service, BookinfoHandler.version = sys.argv[1:3]
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    BookinfoServer(("::", int(sys.argv[3]) if len(sys.argv) > 3 else PORT), BookinfoHandler).serve_forever()


if __name__ == "__main__":
    main()
