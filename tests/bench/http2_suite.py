"""Suite `http2`: HTTP/2 clients through Envoy and nodemesh in turn, to pods that speak HTTP/1.1, HTTP/2, and gRPC."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from . import h2load, verify_http2
from .aftermath import FULL, QUICK, Pace, leftovers, subfolder
from .cases import HEADERS
from .envoy import Envoy
from .http_suite import SUBJECTS, notes
from .load import Load
from .measure import Task, measure
from .nodemesh import Nodemesh
from .outcome import Options, Outcome
from .processes import Cores, free_port
from .proxy import Proxy
from .rules import HOST
from .upstream import BODIES, MESSAGE, METHOD, Upstream, framed

#: What a client sends, beside what its library does: as in the suite `http`.
FIELDS = {":authority": HOST, **{name.lower(): value for name, value in HEADERS.items() if name != "Host"}}
OF_GRPC = {":authority": HOST, "content-type": "application/grpc", "te": "trailers", "user-agent": "grpc-c/31.0"}


class Case(NamedTuple):
    """`protocol` is the name of the service's port."""

    name: str
    protocol: str
    connections: int
    streams: int


CASES = (
    Case("h2 to h1, 32", "http", 32, 1),
    Case("h2 to h2, 32", "http2", 32, 1),
    Case("grpc unary, 32", "grpc", 32, 1),
    Case("grpc unary, 32 x 16", "grpc", 32, 16),
)


def run(options: Options) -> Outcome:
    """For each protocol of the pods: upstream and proxies are started and verified, then measured case by case."""
    names = dict.fromkeys((Envoy.name, *(options.beside or (Nodemesh.name,))))
    cores = Cores.share()
    outcome = Outcome([], [], notes(names, cores))
    for protocol in dict.fromkeys(case.protocol for case in CASES):
        cases = [case for case in CASES if case.protocol == protocol and options.wants(case.name)]
        if cases:
            run_protocol(protocol, cases, list(names), QUICK if options.quick else FULL, cores, outcome)
    return outcome


def run_protocol(
    protocol: str, cases: list[Case], names: list[str], pace: Pace, cores: Cores, outcome: Outcome
) -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="nodemesh-bench-")))
        upstream = Upstream(subfolder(folder, "upstream"), free_port(), cores, http2=protocol != "http")
        stack.callback(upstream.stop)
        proxies: list[Proxy] = []
        for name in names:
            proxy = SUBJECTS[name](subfolder(folder, name), upstream.port, cores, protocol)
            stack.callback(proxy.stop)
            proxies.append(proxy)
        before = {proxy: proxy.process.usage() for proxy in proxies}
        for proxy in proxies:
            outcome.mistakes.extend(verify_http2.check(proxy, upstream))
        for case in cases if not outcome.mistakes else ():
            task = task_of(case, cores, folder)
            for proxy in proxies:
                task.ask(proxy, 1)
            measure(task, proxies, Envoy.name, pace, cores, outcome)
        upstream.stop()
        outcome.mistakes.extend(leftovers(proxies, before, pace))


def task_of(case: Case, cores: Cores, folder: Path) -> Task:
    grpc = case.protocol == "grpc"
    path = METHOD if grpc else "/small"
    body = framed(MESSAGE) if grpc else b""

    def ask(proxy: Proxy, seconds: float) -> Load:
        fields = OF_GRPC if grpc else FIELDS
        return h2load.run(proxy.url + path, case.connections, case.streams, seconds, fields, body, cores.load, folder)

    return Task(case.name, ask, len(framed(MESSAGE)) if grpc else BODIES["/small"])
