"""Apps whose bytes skip TCP, or stay on it: nginx, a digest service, and clients of many manners."""

from __future__ import annotations

from pathlib import Path

from nodemesh.lab import LabPod

LARGE = 64 << 20

#: Files of known sizes at port 80; at port 82 whatever the first server answers, over kept connections of its own.
NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/error.log warn; user root;
events {{ worker_connections 512; }}
http {{
  access_log off; tcp_nodelay on; keepalive_requests 100000; client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  upstream web {{ server web:80; keepalive 4; }}
  server {{ listen {port}; {what} }}
}}
"""
FILES = "root {folder}/files; listen [::]:80;"
FORWARD = """location / {{
  proxy_pass http://web; proxy_http_version 1.1; proxy_set_header connection ""; proxy_buffering off;
}}"""

#: At port 83: a head alone, and its large body when the client has had time to read that.
APART = """
import http.server, time
class Apart(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(200)
        self.send_header('content-length', str(1 << 20))
        self.end_headers()
        time.sleep(0.1)
        self.wfile.write(bytes(1 << 20))
http.server.ThreadingHTTPServer(('0.0.0.0', 83), Apart).serve_forever()
"""

#: At port 81: the SHA-256 of what comes until a half-close, read only after as many seconds as the first line says.
DIGEST = """
import hashlib, socket, sys, threading, time
def serve(sock):
    with sock, sock.makefile('rb') as file:
        time.sleep(float(file.readline()))
        sock.sendall(b'go\\n')
        sha, size = hashlib.sha256(), 0
        while data := file.read1(65536):
            sha.update(data)
            size += len(data)
        sock.sendall(f'{size} {sha.hexdigest()}\\n'.encode())
server = socket.create_server(('0.0.0.0', 81), backlog=64)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()
"""

#: Requests on one kept connection: the argument says whether its socket blocks. Prints a digest of all bodies.
KEPT = """
import hashlib, http.client, sys
connection = http.client.HTTPConnection(sys.argv[2], 80, timeout=None if sys.argv[1] == 'blocking' else 10)
sha = hashlib.sha256()
for number in range(int(sys.argv[3])):
    connection.request('GET', ('/65536', '/64', '/1000')[number % 3])
    answer = connection.getresponse()
    assert answer.status == 200, answer.status
    sha.update(answer.read())
print(sha.hexdigest())
"""

#: Asks for the large file and reads nothing until its input says so; prints the digest of what came then.
SLOW = """
import hashlib, socket, sys
sock = socket.create_connection(('web', 80), 10)
file = sock.makefile('rb')
def ask(path):
    sock.sendall(f'GET /{path} HTTP/1.1\\r\\nhost: web\\r\\n\\r\\n'.encode())
    length = 0
    while line := file.readline().strip():
        if line.lower().startswith(b'content-length:'):
            length = int(line.split()[1])
    return length
file.read(ask('65536'))
sock.sendall(b'GET /large HTTP/1.1\\r\\nhost: web\\r\\n\\r\\n')
print('asked', flush=True)
sys.stdin.readline()
while line := file.readline().strip():
    pass
sha, left = hashlib.sha256(), int(sys.argv[1])
while left:
    data = file.read(min(left, 1 << 20))
    assert data, f'{left} bytes are missing'
    sha.update(data)
    left -= len(data)
print(sha.hexdigest())
"""

#: Sends so many bytes to the digest service, half-closes, prints its answer.
UPLOAD = """
import socket, sys
sock = socket.create_connection(('digest', 81), 30)
file = sock.makefile('rb')
sock.sendall(sys.argv[2].encode() + b'\\n')
assert file.readline() == b'go\\n'
data, size = bytes(range(256)) * 4096, int(sys.argv[1])
for _ in range(size // len(data)):
    sock.sendall(data)
sock.shutdown(socket.SHUT_WR)
print(file.readline().decode(), end='')
"""

#: Holds connections that have had their answers; tells when they end.
HOLD = """
import http.client, sys
connections = [http.client.HTTPConnection('web', 80, timeout=10) for _ in range(8)]
for size in (65536, 1000, 1000):
    for connection in connections:
        connection.request('GET', f'/{size}')
        assert len(connection.getresponse().read()) == size
print('held', flush=True)
for line in sys.stdin:
    good = 0
    for connection in connections:
        try:
            connection.auto_open = 0
            connection.request('GET', '/1000')
            good += len(connection.getresponse().read()) == 1000
        except (OSError, http.client.HTTPException):
            pass
    print(good, flush=True)
"""


def nginx(pod: LabPod, folder: Path, port: int, what: str) -> None:
    folder.mkdir()
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, what=what.format(folder=folder)))
    pod.popen(["nginx", "-c", str(folder / "nginx.conf")])
    pod.wait_listening(port)
