"""Commands that have the agent do something: by its socket for orders, which only its own user and root may open."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING

import click

from .client import fetch
from .output import CommandError

if TYPE_CHECKING:
    from ..node.channel import Channel
    from ..node.orders import FromAgent, Order

#: Seconds that the agent may take to answer an order: compiling a large mesh takes some.
PATIENCE = 30.0


def seconds_of(ctx: click.Context, param: click.Parameter, value: str) -> float:
    """A length of time as Istio writes it: `90s`, `10m`, `1h30m`."""
    from ..config.base import Duration
    from ..node.orders import LONGEST

    try:
        seconds = Duration.parse(value) / 1000.0
    except ValueError as error:
        raise click.BadParameter(str(error), ctx, param) from None
    if not 0 < seconds <= LONGEST:
        raise click.BadParameter(f"{value} is not between 1ms and {LONGEST / 3600:g}h", ctx, param)
    return seconds


def ordered(admin: str, order: Order, body: bytes | None = None) -> contextlib.closing[Channel[FromAgent]]:
    """The connection by which an order is being done, for as long as it is open. Raises CommandError."""
    from ..node.channel import Channel, memfd
    from ..node.orders import FromAgent

    path = str(fetch(admin, "/status").get("orders", ""))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    sock.settimeout(PATIENCE)
    channel: Channel[FromAgent] = Channel(sock, FromAgent)
    try:
        sock.connect(path)
        fds = [memfd("nodemesh-order", body)] if body is not None else []
        channel.send(order, fds)
        for fd in fds:
            os.close(fd)
        _accepted(channel)
    except OSError as error:
        channel.close()
        raise CommandError(
            f"the agent takes no order at {path or 'an unknown place'} ({error.strerror or error}); ask on its own "
            "machine, as its own user or root"
        ) from None
    except CommandError:
        channel.close()
        raise
    return contextlib.closing(channel)


def _accepted(channel: Channel[FromAgent]) -> None:
    from ..node.orders import Accepted, Declined

    reply, _ = channel.receive()
    if isinstance(reply, Declined):
        raise CommandError(reply.error)
    if not isinstance(reply, Accepted):
        raise CommandError("the agent speaks another language; is it of this version?")


def gone(channel: Channel[FromAgent], seconds: float) -> bool:
    """Wait, and say whether the agent has ended the order meanwhile."""
    channel.sock.settimeout(seconds)
    try:
        return not channel.sock.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        return False
    except OSError:
        return True
