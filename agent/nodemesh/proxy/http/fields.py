"""What a field is to a proxy, by its name: forwarded, meant for this hop alone, or one that the proxy looks into."""

from __future__ import annotations

from typing import Final

from ...bounded import Bounded
from ...routing.fields import WRITTEN
from .lines import KNOWN_HEADS, KNOWN_LENGTH

# What a field is to a proxy. Small numbers, so that the codecs compare integers.
PLAIN: Final = 0
HOST: Final = 1
CONTENT_LENGTH: Final = 2
TRANSFER_ENCODING: Final = 3
CONNECTION: Final = 4
HOP: Final = 5  # meant for the next hop only: never forwarded
TE: Final = 6
UPGRADE: Final = 7
EXPECT: Final = 8
CONTROL: Final = 9  # steers the proxy, and is not forwarded
OURS: Final = 10  # the proxy writes it itself
SERVER: Final = 11
GRPC_STATUS: Final = 12

KINDS: Final[dict[bytes, int]] = {
    b"host": HOST,
    b"content-length": CONTENT_LENGTH,
    b"transfer-encoding": TRANSFER_ENCODING,
    b"connection": CONNECTION,
    b"keep-alive": HOP,
    b"proxy-connection": HOP,
    b"http2-settings": HOP,
    b"te": TE,
    b"upgrade": UPGRADE,
    b"expect": EXPECT,
    b"x-envoy-upstream-rq-timeout-ms": CONTROL,
    b"x-envoy-upstream-rq-per-try-timeout-ms": CONTROL,
    b"x-envoy-upstream-rq-timeout-alt-response": CONTROL,
    b"x-envoy-retry-on": CONTROL,
    b"x-envoy-retry-grpc-on": CONTROL,
    b"x-envoy-max-retries": CONTROL,
    b"x-envoy-retriable-status-codes": CONTROL,
    b"x-envoy-retriable-header-names": CONTROL,
    **dict.fromkeys(WRITTEN, OURS),
    b"server": SERVER,
    b"grpc-status": GRPC_STATUS,
}


class HeadLayout:
    """What the lines of a head are, by their names alone: the places of those that are forwarded as they come (`kept`,
    the set of their names, and whether one of these comes twice), and of those that have something to say to the proxy
    (`meant`); and what each line is."""

    __slots__ = ("kept", "names", "repeats", "meant", "kinds", "_dropped")

    def __init__(self, names: tuple[bytes, ...], forwarded: frozenset[int], meant: frozenset[int]) -> None:
        self.kinds = [KINDS.get(name, PLAIN) for name in names]
        self.kept = [index for index, kind in enumerate(self.kinds) if kind in forwarded]
        self._dropped = [index for index, kind in enumerate(self.kinds) if kind not in forwarded][::-1]
        self.names = frozenset([names[index] for index in self.kept])
        self.repeats = len(self.names) < len(self.kept)
        self.meant = [index for index, kind in enumerate(self.kinds) if kind in meant]

    def forwarded(self, lines: list[bytes]) -> list[bytes]:
        """Those of a head's lines that are forwarded as they come."""
        kept = lines[:]
        for index in self._dropped:  # the last one first; they are few
            del kept[index]
        return kept


class Layouts:
    """The layouts of requests, or of responses: `forwarded` are the kinds of lines that go through, `meant` those that
    the proxy looks into."""

    __slots__ = ("forwarded", "meant", "known")

    def __init__(self, forwarded: frozenset[int], meant: frozenset[int]) -> None:
        self.forwarded = forwarded
        self.meant = meant
        self.known: Bounded[tuple[bytes, ...], HeadLayout] = Bounded(KNOWN_HEADS, KNOWN_LENGTH)

    def of(self, names: tuple[bytes, ...]) -> HeadLayout:
        """The layout of lines with these names."""
        layout = self.known.found.get(names)
        if layout is None:
            layout = HeadLayout(names, self.forwarded, self.meant)
            self.known.keep(names, layout, sum(map(len, names)))
        return layout
