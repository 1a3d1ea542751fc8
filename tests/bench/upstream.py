"""The upstream: one nginx that plays every pod, each on its own loopback address, with bodies of known content."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

from . import rules
from .processes import Cores, Process

#: Path -> size in bytes.
BODIES = {"/small": 12, "/10k": 10 * 1024, "/1m": 1024 * 1024}

#: Request headers that a pod gives back as `x-seen-…`, so that a client can check what reached it.
SEEN = ("host", "x-request-id", "x-mesh", "x-forwarded-proto", "x-envoy-attempt-count", "user-agent")

#: A unary method of gRPC: whatever is asked, every pod answers this message.
METHOD = "/bench.Echo/Say"
MESSAGE = b"hello from a pod"

CONFIG = """\
daemon off; master_process off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx-error.log warn;
events {{ worker_connections 8192; }}
http {{
    access_log off; sendfile on; tcp_nopush on; tcp_nodelay on; default_type text/plain;
    keepalive_timeout 600s; keepalive_requests 100000000; open_file_cache max=100; client_max_body_size 64m;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
{servers}
}}
"""

SERVER = """\
    server {{
        listen {address}:{port} backlog=4096{http2};
        root {folder}/www;
        add_header x-pod {pod};
{seen}
        location /put/ {{ dav_methods PUT; root {folder}; }}
        location /alike/ {{ alias {folder}/www/; add_header x-pod {pod}; }}
        location = {method} {{ try_files /message =404; error_page 405 =200 /message; }}
        location = /message {{
            internal; types {{}} default_type application/grpc;
            add_header x-pod {pod}; add_trailer grpc-status 0 always;
        }}
    }}
"""


class Upstream:
    """All pods of the mesh; `port` is the one that each of them listens on. They speak HTTP/1.1, or HTTP/2 alone."""

    def __init__(self, folder: Path, port: int, cores: Cores, http2: bool = False) -> None:
        self.port = port
        self.http2 = http2
        self._folder = folder
        self.bodies = {path: content(path) for path in BODIES}
        for name in ("www/static", "put", "body"):
            (folder / name).mkdir(parents=True)
        folder.chmod(0o755)  # nginx serves as its own user when it is started by root
        (folder / "put").chmod(0o777)
        for path, body in self.bodies.items():
            (folder / "www" / path[1:]).write_bytes(body)
            (folder / "www" / "static" / path[1:]).hardlink_to(folder / "www" / path[1:])
        (folder / "www" / "message").write_bytes(framed(MESSAGE))
        config = folder / "nginx.conf"
        config.write_text(self._config(folder))
        self.process = Process("nginx", ["nginx", "-c", str(config)], cores.upstream, folder / "nginx.out")
        for address, _, _ in rules.pods().values():
            self.process.wait_for_port(address, port)

    def _config(self, folder: Path) -> str:
        seen = "\n".join(f"        add_header x-seen-{name} $http_{name.replace('-', '_')};" for name in SEEN)
        servers = "".join(
            SERVER.format(
                address=address,
                port=self.port,
                folder=folder,
                pod=pod,
                seen=seen,
                method=METHOD,
                http2=" http2" if self.http2 else "",
            )
            for pod, (address, _, _) in rules.pods().items()
        )
        return CONFIG.format(folder=folder, servers=servers)

    def digest(self, path: str) -> str:
        return hashlib.sha256(self.bodies[path]).hexdigest()

    def received(self, name: str) -> bytes:
        """The body of a PUT to /put/<name>."""
        return (self._folder / "put" / name).read_bytes()

    def stop(self) -> None:
        self.process.stop()


def framed(message: bytes) -> bytes:
    """A message as gRPC sends it: not compressed, with its length."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def content(path: str) -> bytes:
    """The body behind a path: pseudo-random, the same in every run, so that shifted or mixed bytes show."""
    return random.Random(path).randbytes(BODIES[path])
