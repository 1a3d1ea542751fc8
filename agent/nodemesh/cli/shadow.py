"""`nodemesh shadow`: a candidate beside a running agent's configuration, and what it would answer otherwise."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .client import fetch
from .diff import CHANGED
from .files import read_candidate
from .orders import gone, ordered, seconds_of
from .output import DEFAULT_ADMIN, CommandError, print_json
from .report import SHOWN, Differing, counted, heading, lines_of, wrapped

if TYPE_CHECKING:
    from ..node.channel import Channel
    from ..node.orders import FromAgent
    from ..registry.snapshot import Snapshot

#: Seconds between two looks, and that the agent waits beyond the time, so that the last look is still one at it.
LOOK = 1.0
BEYOND = 15.0


@click.command(context_settings={"show_default": True})
@click.argument("candidate", nargs=-1, metavar="[CANDIDATE...]")
@click.option(
    "--for", "seconds", callback=seconds_of, default="10m", metavar="TIME", help="How long, unless Ctrl-C ends it."
)
@click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", help="The agent's API.")
@click.option("--explain", "explained", is_flag=True, help="With how both sides come to their answers.")
@click.option("--format", "-o", "form", type=click.Choice(("text", "json")), default="text")
def shadow(candidate: tuple[str, ...], seconds: float, admin: str, explained: bool, form: str) -> None:
    """Have the running agent decide each request by CANDIDATE, too, and say which it would answer otherwise.

    CANDIDATE is files and folders of YAML, laid over what the agent has, or - for YAML on standard input. Only the live
    configuration acts. Without CANDIDATE, what is found by the one that is on already. Exit code 3 if a request would
    be answered otherwise, 0 if not."""
    if candidate:
        found = _run(_candidate(candidate), seconds, admin, live=form == "text" and sys.stdout.isatty())
    else:
        found = fetch(admin, "/shadow", [("explain", "1")])
        if not found["on"]:
            raise CommandError("no shadow is on; name a candidate, or annotate objects with nodemesh.io/candidate")
    if form == "json":
        print_json(found)
    else:
        click.echo("\n".join(text_of(found, explained)))
    sys.exit(CHANGED if found["differing"] else 0)


def _candidate(paths: tuple[str, ...]) -> Snapshot:
    snapshot = read_candidate(paths)
    if any(problem.refused for problem in snapshot.problems):
        raise CommandError("the candidate has errors; mend them first")
    return snapshot


def _run(above: Snapshot, seconds: float, admin: str, live: bool) -> Any:
    """The last report."""
    from ..node.orders import OrderShadow
    from ..registry.carry import encode_snapshot

    order = OrderShadow(seconds=seconds + BEYOND)
    with ordered(admin, order, encode_snapshot(above)) as channel:
        end = time.monotonic() + seconds
        with contextlib.suppress(KeyboardInterrupt):
            _watch(channel, admin, end, live)
        return fetch(admin, "/shadow", [("explain", "1")])


def _watch(channel: Channel[FromAgent], admin: str, end: float, live: bool) -> None:
    while (left := end - time.monotonic()) > 0:
        if gone(channel, min(LOOK, left)):
            raise CommandError("the agent has ended the shadow; its log says why")
        if live:
            click.clear()
            click.echo("\n".join(text_of(fetch(admin, "/shadow"), explained=False)))
            click.echo(f"\n{left:.0f} s are left; Ctrl-C ends it now")


def text_of(found: Any, explained: bool) -> Iterator[str]:
    """The report for people."""
    requests, differing = found["requests"], found["differing"]
    yield f"{requests:,} requests to what the candidate changes, {differing:,} would be answered otherwise"
    if found["failed"]:
        yield from wrapped(f"{found['failed']:,} could not be decided by the candidate: {found['error']}", "")
    if found["rows"]:
        yield from ("", heading())
    for row in found["rows"][:SHOWN]:
        yield from lines_of(differing_of(row), requests, "now")
        for sample in row["samples"][-1:] if explained else ():
            yield from explanations(sample)
    more = sum(row["count"] for row in found["rows"][SHOWN:]) + found["folded"]
    if more:
        yield counted(more, requests, "in other ways; -o json has more of them")
    if found["unseen"]:
        yield ""
        yield f"{found['uncompared']:,} connections stayed in the kernel, and were not compared"
        yield from (line for way in found["unseen"] for line in lines_of_way(way))


def lines_of_way(way: Any) -> Iterator[str]:
    """Where connections stay in the kernel; on the second line what is otherwise with the candidate."""
    yield f"{way['connections']:>9,}          {way['place']}"
    told = f"now {way['live']}"
    if way["candidate"].partition(" (")[0] != way["live"].partition(" (")[0]:
        told = f"{way['candidate']}, {told}"
    yield from wrapped(told, " " * 19)


def differing_of(row: Any) -> Differing:
    example = client = doubt = ""
    for sample in row["samples"][-1:]:
        example, client = f"{sample['method']} {sample['url']}".strip(), sample["client"]
        if sample["unsure"]:
            doubt = f"whose {', '.join(sample['unsure'])} is looked at and not kept"
    return Differing(
        place=row["place"],
        requests=row["count"],
        aspects=row["aspects"],
        old=row["live"],
        new=row["candidate"],
        old_rule=row["live_rule"],
        new_rule=row["candidate_rule"],
        example=example,
        client=client,
        doubt=doubt,
    )


def explanations(sample: Any) -> Iterator[str]:
    """How both sides come to what they say of a sample."""
    import msgspec

    from ..routing.answer import Explanation, render_text

    for title, side in (("candidate", sample["candidate"]), ("live", sample["live"])):
        if side is not None:
            yield f"      {title}:"
            text = render_text(msgspec.convert(side, Explanation))
            yield from (f"        {line}" for line in text.splitlines())
