"""What a shadow has found so far, for people: each disagreement with a sample that `explain` answers on both sides."""

from __future__ import annotations

from typing import Any

import msgspec

from ..admin.state import ShadowReport, ShadowRow, ShadowSample
from ..routing.diff.affected import hosts_to_ask
from ..routing.explain import explain
from ..routing.frontend import Mode
from ..routing.heads import KeptHead, ask, hidden, place_of
from ..routing.question import QuestionError
from ..routing.views import Views
from ..telemetry.disagreement import Disagreement
from .shadow import ShadowControl
from .views import BASE_CLIENT

#: Rows that are shown, those of them whose newest sample is explained, and places that no request comes from.
SHOWN = 256
EXPLAINED = 20
UNSEEN = 50


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
        unseen=unseen(live, candidate) if kernel else [],
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


def unseen(live: Views, candidate: Views) -> list[str]:
    """Places that the candidate changes whose connections stay in the kernel: none of their requests is seen."""
    view = live.for_client(BASE_CLIENT)
    found = []
    for host, ports in hosts_to_ask(live.tables, candidate.tables).items():
        for port in sorted(ports):
            frontend = view.frontend_for_host(host, port)
            if frontend.service is not None and frontend.mode is not Mode.PROXY:
                found.append(place_of(host, port))
    return found[:UNSEEN]
