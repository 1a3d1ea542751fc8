"""Spans on their way to collectors, by OTLP over HTTP in its JSON form: batched, bounded, and never in a worker."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec

from .. import __version__
from ..config.providers import OpenTelemetryTracing
from ..registry.snapshot import Snapshot
from ..telemetry.shares import Shares
from ..telemetry.span import Span
from .logs import Log

if TYPE_CHECKING:
    import aiohttp

log = Log("control")

#: Seconds between two exports, and spans of one.
INTERVAL = 1.0
BATCH = 512

#: Spans of one provider that wait; what has no room then is lost, and counted.
QUEUE = 8192

#: Seconds that an export may take, if the provider does not say, and the rests after failures.
TIMEOUT = 10.0
FIRST_REST, LONGEST_REST = 1.0, 30.0

#: Answers after which the same spans are sent again (OTLP, "Retryable Response Codes"); others are final.
RETRYABLE = frozenset({429, 502, 503, 504})

#: Characters of a value, if the provider does not say (Istio's maxTagLength).
TAG_LENGTH = 256

PATH = "/v1/traces"

#: OTLP's numbers of a client's span, and of an error.
CLIENT, ERROR = 3, 2


def encode(spans: Sequence[Span], longest: int) -> bytes:
    """An ExportTraceServiceRequest in JSON: spans of one service share a resource."""
    ordered = sorted(spans, key=lambda span: span.service)
    return msgspec.json.encode(
        {
            "resourceSpans": [
                {
                    "resource": {"attributes": _attributes({"service.name": service}, longest)},
                    "scopeSpans": [
                        {
                            "scope": {"name": "nodemesh", "version": __version__},
                            "spans": [_span(span, longest) for span in group],
                        }
                    ],
                }
                for service, group in groupby(ordered, key=lambda span: span.service)
            ]
        }
    )


def _span(span: Span, longest: int) -> dict[str, Any]:
    found = {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        "name": span.name[:longest],
        "kind": CLIENT,
        "startTimeUnixNano": str(int(span.started * 1e9)),
        "endTimeUnixNano": str(int((span.started + span.duration) * 1e9)),
        "attributes": _attributes(span.attributes, longest),
    }
    if span.parent_id:
        found["parentSpanId"] = span.parent_id
    if span.failed:
        found["status"] = {"code": ERROR}
    return found


def _attributes(values: dict[str, str] | dict[str, str | int], longest: int) -> list[dict[str, Any]]:
    return [
        {"key": key, "value": {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value[:longest]}}
        for key, value in values.items()
    ]


def endpoint_of(collector: OpenTelemetryTracing, snapshot: Snapshot) -> str:
    """The URL of a collector: by its Service's address where the registry has one, for the agent's own resolver may not
    know the cluster's names."""
    host = (collector.service or "").rpartition("/")[2]
    for service in snapshot.services.get(host, ()):
        address = next((address for address in service.addresses if "/" not in address), "")
        if address:
            host = f"[{address}]" if ":" in address else address
            break
    path = collector.http.path if collector.http is not None else None
    return f"http://{host}:{collector.port}{path or PATH}"


class Exporter:
    """The spans of all workers, by the providers that they are for. `snapshot` gives the newest one."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._queues: dict[str, Shares] = {}
        self.exported = 0
        self.lost: Counter[str] = Counter()  # by why
        self._failing: set[str] = set()

    def take(self, spans: Iterable[Span], lost: int = 0) -> None:
        """Have these exported; so many more were lost on their way here."""
        if lost:
            self.lost["worker"] += lost
        for span in spans:
            queue = self._queues.get(span.provider)
            if queue is None:
                queue = self._queues[span.provider] = Shares(QUEUE)
            if not queue.put(span):
                self.lost["full"] += 1

    async def run(self) -> None:
        """Until cancelled. One collector's trouble is no other's."""
        tasks: dict[str, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as group:
            while True:
                await asyncio.sleep(INTERVAL)
                for name, queue in self._queues.items():
                    if queue and (name not in tasks or tasks[name].done()):
                        tasks[name] = group.create_task(self._drain(name, queue), name=f"spans for {name}")

    async def _drain(self, name: str, queue: Shares) -> None:
        """Send what waits. Whatever fails: other duties go on, and what comes later is tried."""
        try:
            await self._send_all(name, queue)
        except Exception:
            self.lost["failed"] += len(queue.take(QUEUE))
            log.exception("spans not exported")

    async def _send_all(self, name: str, queue: Shares) -> None:
        import aiohttp  # where nothing is traced, nothing is loaded

        rest = FIRST_REST
        async with aiohttp.ClientSession(trust_env=False) as session:
            while queue:
                collector = self._collector(name)
                if collector is None:
                    self.lost["no provider"] += len(queue.take(QUEUE))
                    return
                batch = queue.take(BATCH)
                why = await self._send(session, collector, batch)
                if why == "retry":
                    if lost := queue.put_back(batch):  # others have come meanwhile
                        self.lost["full"] += lost
                    await asyncio.sleep(rest)
                    rest = min(rest * 2, LONGEST_REST)
                elif why:
                    self.lost[why] += len(batch)
                else:
                    self.exported += len(batch)
                    rest = FIRST_REST

    def _collector(self, name: str) -> OpenTelemetryTracing | None:
        providers = self._snapshot().mesh.extension_providers
        return next((each.opentelemetry for each in providers if each.name == name), None)

    async def _send(self, session: aiohttp.ClientSession, collector: OpenTelemetryTracing, batch: list[Span]) -> str:
        """Why it is lost, or `retry`; empty where the collector has it."""
        import aiohttp

        url = endpoint_of(collector, self._snapshot())
        http = collector.http
        seconds = http.timeout / 1000.0 if http is not None and http.timeout else TIMEOUT
        headers = {"content-type": "application/json"}
        for header in http.headers if http is not None else ():
            headers[header.name or ""] = header.value or os.environ.get(header.env_name or "", "")
        body = await asyncio.to_thread(encode, batch, collector.max_tag_length or TAG_LENGTH)
        try:
            timeout = aiohttp.ClientTimeout(total=seconds)
            async with session.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False) as answer:
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._tell(url, str(error) or type(error).__name__)
            return "retry"
        if status in RETRYABLE:
            self._tell(url, f"status {status}")
            return "retry"
        if status >= 300:
            self._tell(url, f"status {status}")
            return "refused"
        self._failing.discard(url)
        return ""

    def _tell(self, url: str, why: str) -> None:
        """Once until it works again."""
        if url not in self._failing:
            self._failing.add(url)
            log.warning("spans cannot be exported", collector=url, error=why)
