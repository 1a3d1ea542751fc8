"""What a shadow has found so far, for people: each disagreement with a sample that `explain` answers on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..admin.state import ShadowReport, ShadowRow, ShadowSample, ShadowWay
from ..routing.diff.affected import hosts_to_ask
from ..routing.diff.spots import WAYS
from ..routing.explain import explain
from ..routing.frontend import Frontend, Mode
from ..routing.heads import KeptHead, ask, hidden, place_of
from ..routing.question import QuestionError
from ..routing.views import Views
from ..telemetry.disagreement import Disagreement
from .shadow import ShadowControl
from .views import BASE_CLIENT

#: Rows that are shown, those of them whose newest sample is explained, and places of which the kernel has connections.
SHOWN = 256
EXPLAINED = 20
UNSEEN = 50

#: What a side has of a service that it does not know.
GONE = "no service of the mesh"


async def report(shadow: ShadowControl, live: Views | None, *, explained: bool, kernel: bool) -> ShadowReport:
    """`live` are the views of the live tables; `kernel` says that connections may stay in it."""
    counts = await shadow.counts()
    candidate = shadow.views
    if live is None or candidate is None:
        return ShadowReport(on=False)
    rows = [
        row_of(one, live, candidate, explained and number < EXPLAINED)
        for number, one in enumerate(counts.disagreements[:SHOWN])
    ]
    ways = ways_of(live, candidate, shadow.kernel_connections()) if kernel else []
    hidden_rows = sum(one.count for one in counts.disagreements[SHOWN:])
    return ShadowReport(
        on=True,
        asked_by=shadow.asked_by,
        since=shadow.since,
        until=shadow.until,
        objects=list(shadow.objects),
        requests=counts.requests,
        differing=counts.differing,
        folded=counts.folded + hidden_rows,
        failed=counts.failed,
        error=counts.error,
        uncompared=sum(way.connections for way in ways),
        unseen=ways[:UNSEEN],
        rows=rows,
    )


def row_of(found: Disagreement, live: Views, candidate: Views, explained: bool) -> ShadowRow:
    contrast = found.contrast
    newest = len(found.samples) - 1
    return ShadowRow(
        place=contrast.place,
        count=found.count,
        aspects=contrast.aspects,
        live=dict(contrast.old.told),
        candidate=dict(contrast.new.told),
        live_rule=contrast.old.rule,
        candidate_rule=contrast.new.rule,
        samples=[
            sample_of(head, live, candidate, explained and number == newest)
            for number, head in enumerate(found.samples)
        ],
    )


def sample_of(head: KeptHead, live: Views, candidate: Views, explained: bool) -> ShadowSample:
    client = f"{head.client.namespace}/{head.client.name}"
    sides = (live, candidate) if explained else ()
    rules = [ask(views.for_client(head.client), head).rules for views in sides]
    answers = [explained_head(views, head) for views in sides] or [None, None]
    return ShadowSample(
        at=head.at,
        client=client,
        method=head.method,
        url=head.url,
        authority=head.authority,
        headers=dict(head.headers),
        redacted=list(head.redacted),
        unsure=sorted({name for each in rules for name in hidden(each, head)}),
        live=answers[0],
        candidate=answers[1],
    )


def explained_head(views: Views, head: KeptHead) -> dict[str, Any] | None:
    headers = [("host", head.authority), *head.headers.items()]
    try:
        answer = explain(views, head.client, head.method or "GET", head.url, headers, head.sni)
    except QuestionError:
        return None  # what a client may send, and nobody may ask: a blank in its target, say
    return msgspec.json.decode(msgspec.json.encode(answer), type=dict[str, Any])


def ways_of(live: Views, candidate: Views, connections: Mapping[str, int]) -> list[ShadowWay]:
    """Places that the candidate changes whose connections stay in the kernel on one side or both; those with the most
    connections that were not compared first."""
    views = live.for_client(BASE_CLIENT), candidate.for_client(BASE_CLIENT)
    found = []
    for host, ports in hosts_to_ask(live.tables, candidate.tables).items():
        for port in sorted(ports):
            before, after = (view.frontend_for_host(host, port) for view in views)
            if any(each.service is not None and each.mode is not Mode.PROXY for each in (before, after)):
                place = place_of(host, port)
                count = connections.get(place, 0)
                found.append(ShadowWay(place=place, live=way_of(before), candidate=way_of(after), connections=count))
    return sorted(found, key=lambda way: (-way.connections, way.place))


def way_of(frontend: Frontend) -> str:
    return f"{WAYS[frontend.mode]} ({frontend.mode_reason})" if frontend.service is not None else GONE
