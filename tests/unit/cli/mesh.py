"""A running `nodemesh run --expose …` with small upstreams on loopback, for tests that look at it from outside."""

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from nodemesh.node.child import environment

HOST = "reviews.default.svc.cluster.local"


def until(condition: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until `condition` gives something; fail after a bound."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Version(Protocol):
    """A pod of a version: its name and the port on loopback at which it listens."""

    name: str
    port: int


class Upstream:
    """An HTTP server that answers with its name; `/slow` waits for `release`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.release = threading.Event()
        self.waiting = threading.Semaphore(0)
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                if self.path.startswith("/slow"):
                    outer.waiting.release()
                    outer.release.wait(20)
                body = outer.name.encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self.release.set()
        self.server.shutdown()
        self.server.server_close()


class Answer(NamedTuple):
    status: int
    body: str


class Mesh:
    """The agent as a process; a context manager that leaves nothing behind."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        workers: int = 1,
        expose: tuple[str, ...] = ("reviews:9080",),
        patience: float = 60.0,
    ) -> None:
        """`patience` is how many seconds it may take to be ready."""
        self.patience = patience
        self.folder = folder
        self.options = options
        self.workers = workers
        self.admin = f"127.0.0.1:{free_port()}"
        self.exposed = {name: free_port() for name in expose}
        self.stderr = folder.parent / "stderr"
        self.stdout = folder.parent / "stdout"
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Mesh":
        command = [sys.executable, "-m", "nodemesh", "run", "--config", str(self.folder), "--ebpf", "off"]
        command += ["--admin", self.admin, "--workers", str(self.workers), "--as", "default/client"]
        for name, port in self.exposed.items():
            command += ["--expose", f"{name}=127.0.0.1:{port}"]
        with self.stderr.open("wb") as stderr, self.stdout.open("wb") as stdout:
            self.process = subprocess.Popen([*command, *self.options], env=environment(), stderr=stderr, stdout=stdout)
        try:
            until(self.ready, self.patience)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def replace(self) -> "subprocess.Popen[bytes]":
        """Start a successor with the same options; answers the predecessor, and speaks of the successor from now on."""
        before = self.process
        assert before is not None
        command = [*[str(part) for part in before.args], "--replace"]  # type: ignore[union-attr]
        with self.stderr.open("ab") as stderr:
            self.process = subprocess.Popen(command, env=environment(), stderr=stderr, stdout=subprocess.DEVNULL)
        return before

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def log(self) -> str:
        return self.stderr.read_text()

    def ready(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log()
        try:
            with urllib.request.urlopen(f"http://{self.admin}/readyz", timeout=5):
                return True
        except OSError:  # no answer, another one, or none in time
            return False

    def api(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.admin}{path}", timeout=5) as answer:
            return json.loads(answer.read())

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples with these labels; of what both reporters say, the source's."""
        if name.startswith("istio_"):
            labels = {"reporter": "source", **labels}
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            float(line.rpartition(" ")[2])
            for line in lines
            if line.partition("{")[0].partition(" ")[0] == name and all(part in line for part in wanted)
        )

    def curl(self, path: str = "/", *options: str, name: str = "reviews:9080") -> Answer:
        """What curl gets; status 0 where it gets nothing."""
        done = subprocess.run(
            ["curl", "-sS", "-m", "10", "-w", "\n%{http_code}", "-H", f"host: {name}", *options,
             f"http://127.0.0.1:{self.exposed[name]}{path}"],
            capture_output=True, text=True,
        )  # fmt: skip
        body, _, status = done.stdout.rpartition("\n")
        return Answer(int(status or 0), body)

    def children(self) -> dict[str, int]:
        """The processes by what they run."""
        found = {}
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
                command = (folder / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if parent == self.pid and b"-m" in command:
                module = command[command.index(b"-m") + 1].decode().rpartition(".")[2].removesuffix("_process")
                name = f"worker-{command[-2].decode()}" if module == "worker" else module
                found[name] = int(folder.name)
        return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def cluster(*versions: Version, port_name: str = "http") -> str:
    """A reviews service whose pods are these upstreams, each of the version that it is named."""
    documents = [
        "apiVersion: v1\nkind: Service\nmetadata: {name: reviews, namespace: default}\n"
        f"spec: {{clusterIP: 10.96.0.7, ports: [{{port: 9080, name: {port_name}}}]}}\n"
    ]
    for upstream in versions:
        documents.append(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
            f"metadata: {{name: reviews-{upstream.name}, namespace: default, "
            "labels: {kubernetes.io/service-name: reviews}}\n"
            "addressType: IPv4\n"
            f"endpoints: [{{addresses: [127.0.0.1], conditions: {{ready: true}}, "
            f"targetRef: {{kind: Pod, name: reviews-{upstream.name}, namespace: default}}}}]\n"
            f"ports: [{{name: {port_name}, port: {upstream.port}}}]\n"
        )
        documents.append(
            f"apiVersion: v1\nkind: Pod\nmetadata: {{name: reviews-{upstream.name}, namespace: default, "
            f"labels: {{app: reviews, version: {upstream.name}}}}}\nspec: {{}}\nstatus: {{phase: Running}}\n"
        )
    return "---\n".join(documents)


RULES = """---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: default}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: default}
spec:
  hosts: [reviews]
  http:
"""


def rules(http: str) -> str:
    """The DestinationRule with both subsets, and a VirtualService with these HTTP rules."""
    return RULES + "".join(f"  {line}\n" for line in http.strip().splitlines())
