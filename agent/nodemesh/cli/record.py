"""`nodemesh record`: the heads of a running agent's requests for a while, as JSON lines."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

import click

from .orders import ordered, seconds_of
from .output import DEFAULT_ADMIN, CommandError, plural

if TYPE_CHECKING:
    from ..node.orders import OrderHeads

#: What a recording has at most where nothing else is said.
MOST = 10_000
SIZE = 64  # MiB

#: Seconds beyond the time that the agent has to hand the last heads out.
BEYOND = 15.0


@click.command(context_settings={"show_default": True})
@click.option(
    "--for", "seconds", callback=seconds_of, default="1m", metavar="TIME", help="How long, unless Ctrl-C ends it."
)
@click.option("--most", default=MOST, type=click.IntRange(1, 1_000_000), metavar="N", help="Heads at most.")
@click.option("--size", default=SIZE, type=click.IntRange(1, 4096), metavar="MIB", help="MiB at most.")
@click.option(
    "--show",
    "shown",
    multiple=True,
    metavar="NAME",
    help="Keep this field's value, or with ? before it a parameter's, though it may be secret (repeatable).",
)
@click.option("--admin", default=DEFAULT_ADMIN, metavar="ADDR", help="The agent's API.")
def record(seconds: float, most: int, size: int, shown: tuple[str, ...], admin: str) -> None:
    """Write the heads of requests to standard output, a JSON line each, for `nodemesh replay`.

    Credentials, cookies and tokens are left out, and so are the values of query parameters: their names stay."""
    from ..node.orders import OrderHeads

    if sys.stdout.isatty():
        raise click.UsageError("send it to a file: nodemesh record --for 1m > FILE")
    order = OrderHeads(seconds=seconds, most=most, size=size * 2**20, shown=tuple(name.lower() for name in shown))
    count, lost = _copy(order, admin, sys.stdout.buffer, time.monotonic() + seconds + BEYOND)
    click.echo(plural(count, "head") + (f", {lost} more came too fast" if lost else ""), err=True)


def _copy(order: OrderHeads, admin: str, out: BinaryIO, end: float) -> tuple[int, int]:
    """What comes until the agent has finished, or Ctrl-C; the heads, and those that were lost."""
    from ..node.channel import Closed, read_memfd
    from ..node.orders import Finished, HeadLines

    count = lost = 0
    with ordered(admin, order) as channel, contextlib.suppress(KeyboardInterrupt):
        while True:
            channel.sock.settimeout(max(end - time.monotonic(), 0.1))
            try:
                reply, fds = channel.receive()
            except (Closed, TimeoutError):
                raise CommandError("the agent has ended the recording; its log says why") from None
            if isinstance(reply, HeadLines):
                data = read_memfd(fds.pop())
                count += data.count(b"\n")
                out.write(data)
                out.flush()
            for fd in fds:
                os.close(fd)
            if isinstance(reply, Finished):
                lost = reply.lost
                break
    return count, lost
