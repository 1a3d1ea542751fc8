"""The example's three backends, each a plain HTTP server at its pod's address that answers with its name."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Thread

#: The pods of services.yaml, by their addresses.
BACKENDS = {"127.0.1.1": "shop v1", "127.0.1.2": "reviews v1", "127.0.1.3": "reviews v2"}
PORT = 9080  # the services' targetPort


class Backend(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    requests = count(1)

    def do_GET(self):
        name = BACKENDS[self.server.server_address[0]]
        failing = name == "reviews v2" and next(self.requests) % 3 == 0
        body = f"{name} answers {self.path}\n".encode()
        self.send_response(503 if failing else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    servers = [ThreadingHTTPServer((address, PORT), Backend) for address in BACKENDS]
    for server in servers[1:]:
        Thread(target=server.serve_forever, daemon=True).start()
    servers[0].serve_forever()
