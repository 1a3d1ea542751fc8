"""A host outside the mesh: HTTP on 80, HTTPS on 443, HTTPS for clients with a certificate on 8443, a greeting on 3306,
an echo on 5555. Run in a pod as a script: `outside.py NAME FOLDER`, with server.pem and ca.pem in the folder."""

import http.server
import json
import socket
import ssl
import sys
import threading
import time
from typing import Any

NAME, FOLDER = sys.argv[1:3]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`/delay/S` takes S seconds; the answer tells what was asked, and who asked."""
        if self.path.startswith("/delay/"):
            time.sleep(float(self.path.rpartition("/")[2]))
        told: dict[str, object] = {
            "name": NAME,
            "path": self.path,
            "peer": self.client_address[0].removeprefix("::ffff:"),
        }
        told["headers"] = {name.lower(): value for name, value in self.headers.items()}
        if isinstance(self.connection, ssl.SSLSocket):
            certificate: dict[str, Any] = self.connection.getpeercert() or {}
            told["client"] = [value for _, value in certificate.get("subjectAltName", ())]
            told["tls"] = self.connection.version()
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def serve(port: int, context: ssl.SSLContext | None = None) -> None:
    server = http.server.ThreadingHTTPServer(("", port), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def listen(port: int, answer) -> None:
    listener = socket.create_server(("", port))

    def loop() -> None:
        while True:
            sock = listener.accept()[0]
            threading.Thread(target=answer, args=(sock,), daemon=True).start()

    threading.Thread(target=loop, daemon=True).start()


def greet(sock: socket.socket) -> None:
    with sock:
        sock.sendall(b"J\0\0\0\x0a8.0.36")
        sock.recv(100)


def echo(sock: socket.socket) -> None:
    with sock:
        while data := sock.recv(65536):
            sock.sendall(data)


def secure(mutual: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{FOLDER}/server.pem")
    if mutual:
        context.load_verify_locations(f"{FOLDER}/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


listen(3306, greet)
listen(5555, echo)
serve(80)
serve(443, secure(False))
serve(8443, secure(True))
threading.Event().wait()
