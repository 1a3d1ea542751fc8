"""Spans and a collector that takes, refuses or delays them."""

import asyncio
import json
from contextlib import asynccontextmanager

from aiohttp import web

from nodemesh.config.meshconfig import MeshConfigSpec
from nodemesh.config.providers import ExtensionProvider, HttpHeader, HttpService, OpenTelemetryTracing
from nodemesh.node import exporter as module
from nodemesh.node.exporter import Exporter, encode, endpoint_of
from nodemesh.registry.snapshot import Service, Snapshot
from nodemesh.telemetry.span import Span


def span(number=1, provider="otel", parent="c" * 16):
    return Span(
        provider,
        f"{number:032x}",
        f"{number:016x}",
        parent,
        "a:80/*",
        "web.shop",
        1.5,
        0.25,
        True,
        {"a": "xyz", "n": 2},
    )


def test_otlp_in_json():
    (resource,) = json.loads(encode([span(), span(2, parent="")], 2))["resourceSpans"]
    assert resource["resource"]["attributes"] == [{"key": "service.name", "value": {"stringValue": "we"}}]
    first, second = resource["scopeSpans"][0]["spans"]
    assert (first["traceId"], first["spanId"], first["parentSpanId"]) == (f"{1:032x}", f"{1:016x}", "c" * 16)
    assert (first["startTimeUnixNano"], first["endTimeUnixNano"]) == ("1500000000", "1750000000")
    assert first["attributes"] == [
        {"key": "a", "value": {"stringValue": "xy"}},
        {"key": "n", "value": {"intValue": "2"}},
    ]
    assert (first["kind"], first["status"]) == (3, {"code": 2}) and "parentSpanId" not in second


def snapshot(port, **http):
    collector = OpenTelemetryTracing(service="127.0.0.1", port=port, http=HttpService(**http))
    mesh = MeshConfigSpec(extension_providers=(ExtensionProvider(name="otel", opentelemetry=collector),))
    return Snapshot(mesh=mesh)


def test_a_collector_is_found_by_its_service():
    service = Service(host="c.tracing.svc.cluster.local", name="c", namespace="tracing", addresses=("10.96.0.9",))
    known = Snapshot(services={service.host: (service,)})
    collector = OpenTelemetryTracing(service="tracing/c.tracing.svc.cluster.local", port=4318)
    assert endpoint_of(collector, known) == "http://10.96.0.9:4318/v1/traces"
    assert endpoint_of(collector, Snapshot()) == "http://c.tracing.svc.cluster.local:4318/v1/traces"


@asynccontextmanager
async def collecting(statuses):
    """A collector that answers with these, one after the other, and what it was sent."""
    asked = []

    async def take(request):
        asked.append((request.path, request.headers.copy(), json.loads(await request.read())))
        return web.Response(status=statuses.pop(0) if statuses else 200)

    application = web.Application()
    application.router.add_post("/{path:.*}", take)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield runner.addresses[0][1], asked
    finally:
        await runner.cleanup()


def exported(monkeypatch, statuses, spans, until, **http):
    monkeypatch.setattr(module, "INTERVAL", 0.01)
    monkeypatch.setattr(module, "FIRST_REST", 0.01)

    async def run():
        async with collecting(statuses) as (port, asked):
            subject = Exporter(lambda: snapshot(port, **http))
            subject.take(spans)
            task = asyncio.create_task(subject.run())
            async with asyncio.timeout(20):
                while not until(subject):
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            return subject, asked

    return asyncio.run(run())


def ids_of(asked):
    return [s["spanId"] for _, _, body in asked for r in body["resourceSpans"] for s in r["scopeSpans"][0]["spans"]]


def test_spans_go_in_batches_and_with_the_fields_of_the_provider(monkeypatch):
    monkeypatch.setattr(module, "BATCH", 2)
    monkeypatch.setenv("TOKEN", "secret")
    headers = (HttpHeader(name="x-a", value="b"), HttpHeader(name="authorization", env_name="TOKEN"))
    spans = [span(number) for number in range(1, 6)]
    subject, asked = exported(monkeypatch, [], spans, lambda s: s.exported == 5, path="/otlp", headers=headers)
    assert [len(body["resourceSpans"][0]["scopeSpans"][0]["spans"]) for _, _, body in asked] == [2, 2, 1]
    assert {path for path, _, _ in asked} == {"/otlp"}
    assert asked[0][1]["x-a"] == "b" and asked[0][1]["authorization"] == "secret"
    assert ids_of(asked) == [f"{number:016x}" for number in range(1, 6)] and not subject.lost


def test_what_may_be_sent_again_is_and_what_is_refused_is_lost(monkeypatch):
    subject, asked = exported(monkeypatch, [503, 429, 200], [span()], lambda s: s.exported == 1)
    assert ids_of(asked) == [f"{1:016x}"] * 3 and not subject.lost
    subject, asked = exported(monkeypatch, [400], [span()], lambda s: s.lost)
    assert subject.lost == {"refused": 1} and len(asked) == 1


def test_what_has_no_room_any_more_when_it_comes_back_is_lost_and_counted(monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 2)
    subject = Exporter(lambda: snapshot(9))
    subject.take([span(1), span(2)])

    async def send(*_):
        if not subject.lost:
            subject.take([span(3)])
            return "retry"
        return ""

    monkeypatch.setattr(subject, "_send", send)
    monkeypatch.setattr(module, "FIRST_REST", 0.0)
    ((name, queue),) = subject._queues.items()
    asyncio.run(subject._send_all(name, queue))
    assert subject.lost == {"full": 1} and subject.exported == 2


def test_what_waits_is_bounded_and_a_provider_may_leave(monkeypatch):
    monkeypatch.setattr(module, "QUEUE", 3)
    subject = Exporter(Snapshot)
    subject.take([span(number) for number in range(5)], lost=4)
    assert subject.lost == {"full": 2, "worker": 4}
    subject, _ = exported(monkeypatch, [], [span(provider="gone")], lambda s: s.lost)
    assert subject.lost == {"no provider": 1}
