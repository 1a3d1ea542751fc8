"""The words between a command and the agent that it has do something, over a SOCK_SEQPACKET Unix socket of root's.

The admin API only reads. What makes the agent work on somebody's behalf comes this way: who may open the socket (mode
0600, in a folder of mode 0700) could as well stop the agent. An order lasts as long as its connection."""

from __future__ import annotations

import msgspec


class Order(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of what a command asks for; the class name is the tag."""


class OrderShadow(Order, frozen=True, kw_only=True):
    """Have a candidate beside the live configuration, at most so many seconds. fds: a memfd with what is to be laid
    over the live snapshot (`registry.carry`)."""

    seconds: float


class OrderHeads(Order, frozen=True, kw_only=True):
    """Hand out the heads of requests, for so many seconds, at most so many and so many bytes of lines. `shown` is as in
    `proxy.messages.SetRecording`."""

    seconds: float
    most: int
    size: int
    shown: tuple[str, ...] = ()


class OrderReply(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Base of what the agent answers."""


class Accepted(OrderReply, frozen=True, kw_only=True):
    """The order is being done. `warnings` are sentences."""

    warnings: tuple[str, ...] = ()


class Declined(OrderReply, frozen=True, kw_only=True):
    """It is not, or no longer: one sentence."""

    error: str


class HeadLines(OrderReply, frozen=True, kw_only=True):
    """Some heads. fds: a memfd with a JSON line for each."""


class Finished(OrderReply, frozen=True, kw_only=True):
    """The order is done. `lost` heads came too fast to be kept."""

    lost: int = 0


FromCommand = OrderShadow | OrderHeads
FromAgent = Accepted | Declined | HeadLines | Finished

#: Seconds that an order may last.
LONGEST = 24 * 3600.0
