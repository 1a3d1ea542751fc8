"""nodemesh with parts of its telemetry on: nothing, the log, metrics, traces of one request in a hundred, and all."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from .nodemesh import Nodemesh
from .proxy import LOOPBACK

#: Per cent of requests that are traced.
SAMPLING = 1.0


class Observed(Nodemesh):
    """One agent; `collector` is the port where its spans go."""

    metrics: ClassVar[bool] = False
    sampling: ClassVar[float] = 0.0
    collector: ClassVar[int] = 0

    def observed(self) -> Iterator[dict[str, Any]]:
        spec: dict[str, Any] = {}
        if not self.metrics:
            spec["metrics"] = [{"overrides": [{"match": {"metric": "ALL_METRICS"}, "disabled": True}]}]
        if self.sampling:
            provider = {"name": "otel", "opentelemetry": {"service": LOOPBACK, "port": self.collector}}
            meta = {"name": "default", "namespace": "istio-system"}
            yield {
                "apiVersion": "nodemesh.io/v1alpha1",
                "kind": "MeshConfig",
                "metadata": meta,
                "spec": {"extensionProviders": [provider]},
            }
            spec["tracing"] = [{"providers": [{"name": "otel"}], "randomSamplingPercentage": self.sampling}]
        if spec:
            meta = {"name": "mesh", "namespace": "istio-system"}
            yield {"apiVersion": "telemetry.istio.io/v1", "kind": "Telemetry", "metadata": meta, "spec": spec}


class Off(Observed):
    name = "off"
    logs = False


class Log(Observed):
    name = "log"


class Metrics(Observed):
    name = "metrics"
    logs = False
    metrics = True


class Tracing(Observed):
    name = "tracing 1 %"
    logs = False
    sampling = SAMPLING


class All(Observed):
    name = "all three"
    metrics = True
    sampling = SAMPLING


@contextmanager
def collecting() -> Iterator[list[int]]:
    """A collector that takes all spans; the bytes of each batch."""
    sizes: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sizes.append(len(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.send_header("content-length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    Observed.collector = server.server_address[1]
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield sizes
    finally:
        server.shutdown()
        server.server_close()
