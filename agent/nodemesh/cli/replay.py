"""`nodemesh replay`: recorded heads, and which of them another configuration would answer otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .diff import CHANGED
from .files import read_agent, read_candidate
from .output import DEFAULT_ADMIN, CommandError, format_option, print_json
from .report import SHOWN, Differing, counted, heading, lines_of, wrapped

if TYPE_CHECKING:
    from ..routing.diff.replay import Replay, Replayed
    from ..routing.heads import KeptHead

#: Bytes of a line that are read.
LONGEST = 256 * 1024


@click.command(context_settings={"show_default": True})
@click.argument("file", type=click.File("rb"))
@click.option("--config", "new", multiple=True, required=True, metavar="PATH", help="The new configuration.")
@click.option(
    "--against",
    "old",
    multiple=True,
    metavar="PATH",
    help="The old one; without it, the agent's, over which the new one is laid.",
)
@click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", help="The agent that has the old one.")
@format_option("text", "json")
def replay(file: Any, new: tuple[str, ...], old: tuple[str, ...], admin: str, form: str) -> None:
    """Decide about the heads in FILE, of `nodemesh record`, and say which are answered otherwise by PATH.

    Exit code 3 if one is, 0 if not."""
    from ..registry.overlay import overlay
    from ..routing.compile import compile_tables
    from ..routing.diff.replay import replay as compare
    from ..routing.views import Views

    before = read_candidate(old) if old else read_agent(admin)
    after = read_candidate(new)
    if any(problem.refused for problem in after.problems):
        raise CommandError("the new configuration has errors; mend them first")
    if not old:
        after = overlay(before, after)
    found = compare(Views(compile_tables(before)), Views(compile_tables(after)), heads_in(file))
    if form == "json":
        print_json(as_json(found))
    else:
        click.echo("\n".join(text_of(found)))
    sys.exit(CHANGED if found.differing else 0)


def heads_in(file: Any) -> Iterator[KeptHead]:
    """Raises CommandError at a line that is no head."""
    from ..routing.heads import KeptHead

    decoder = msgspec.json.Decoder(KeptHead)
    for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
        if not line.strip():
            continue
        try:
            if len(line) > LONGEST:
                raise ValueError(f"it is longer than {LONGEST} bytes")
            yield decoder.decode(line)
        except ValueError as error:
            raise CommandError(
                f"{file.name}:{number}: this is no head that `nodemesh record` has written: {error}"
            ) from None


def text_of(found: Replay) -> Iterator[str]:
    """The result for people."""
    yield f"{found.heads:,} requests, {found.differing:,} are answered otherwise"
    if found.unsure:
        yield from wrapped(
            f"{found.unsure:,} of them have parts that rules look at and that were not kept: what they come to may be "
            "wrong, on both sides",
            "",
        )
    if found.found:
        yield from ("", heading())
    for each in found.found[:SHOWN]:
        yield from lines_of(differing_of(each), found.heads, "before")
    more = sum(each.count for each in found.found[SHOWN:]) + found.folded
    if more:
        yield counted(more, found.heads, "in other ways; --format json has more of them")


def differing_of(each: Replayed) -> Differing:
    contrast, head = each.contrast, each.example
    return Differing(
        place=contrast.place,
        requests=each.count,
        aspects=contrast.aspects,
        old=dict(contrast.old.told),
        new=dict(contrast.new.told),
        old_rule=contrast.old.rule,
        new_rule=contrast.new.rule,
        example=f"{head.method} {head.url}".strip(),
        client=f"{head.client.namespace}/{head.client.name}",
        doubt=f"{each.unsure:,} of them unsure" if each.unsure else "",
    )


def as_json(found: Replay) -> Any:
    """As manifests/docs/shadow.md has it."""
    return {
        "heads": found.heads,
        "differing": found.differing,
        "unsure": found.unsure,
        "folded": found.folded,
        "found": [
            {
                "place": each.contrast.place,
                "count": each.count,
                "unsure": each.unsure,
                "aspects": each.contrast.aspects,
                "old": each.contrast.old.told,
                "new": each.contrast.new.told,
                "old_rule": each.contrast.old.rule,
                "new_rule": each.contrast.new.rule,
                "example": msgspec.to_builtins(each.example),
            }
            for each in found.found
        ],
    }
