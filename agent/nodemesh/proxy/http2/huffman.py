"""HPACK's Huffman code, read by a table: per state and byte, the symbols that are complete with it and the next state
(RFC 7541 section 5.2 and appendix B).

Only reading: what we write goes to neighbours, where bytes are cheaper than time; Envoy does the same."""

from __future__ import annotations

from typing import Final

#: The lengths of the symbols' codes in bits, the last one EOS. The code is canonical: among codes in the order of
#: length and symbol, each is the one before plus one.
LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c060a0a0c0d06080b0a0a080b0806060605050506060606"
    "06060607080f060c0a0d06070707070707070707070707070707070707070707070807080d130d0e060f05060506050606060507070606"
    "060506070605050607070707070f0b0e0d1c14161414161616171617171717171817181816171817171717151617161717181615141616"
    "1717151716161815161717151516151716171714161616171616171a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a"
    "1c1b1b1b14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a1e"
)
EOS: Final = 256

#: More bits of padding than this are an error.
MAX_PADDING: Final = 7


class HuffmanState:
    """A place inside the code: what was read of a symbol. Its 256 steps are worked out when it is first met."""

    __slots__ = ("left", "right", "symbol", "ends", "symbols", "steps")

    def __init__(self) -> None:
        self.left: HuffmanState | None = None  # by a bit 0
        self.right: HuffmanState | None = None  # by a bit 1
        self.symbol = -1
        self.ends = False  # a string may end here: the bits so far are padding
        self.symbols: list[bytes] = []
        self.steps: list[HuffmanState] = []

    def fill(self) -> None:
        """Work out the steps."""
        symbols: list[bytes] = []
        steps: list[HuffmanState] = []
        for byte in range(256):
            state = self
            found = b""
            for shift in range(7, -1, -1):
                after = state.right if byte >> shift & 1 else state.left
                if after is None:
                    state = BROKEN
                    break
                state = after
                if state.symbol >= 0:
                    found += SYMBOLS[state.symbol]
                    state = ROOT
            symbols.append(PAIRS.setdefault(found, found))
            steps.append(state)
        self.symbols = symbols
        self.steps = steps


SYMBOLS: Final = [bytes((symbol,)) for symbol in range(256)]

#: What one byte completes: the same few pieces again and again.
PAIRS: Final[dict[bytes, bytes]] = {}


def build() -> HuffmanState:
    """The code's tree. EOS is not in it: inside a string it is an error."""
    root = HuffmanState()
    code = 0
    length = 0
    for size, symbol in sorted((size, symbol) for symbol, size in enumerate(LENGTHS)):
        code <<= size - length
        length = size
        place = root
        for shift in range(size - 1, -1, -1):
            bit = code >> shift & 1
            after = place.right if bit else place.left
            if after is None:
                after = HuffmanState()
                if bit:
                    place.right = after
                else:
                    place.left = after
            place = after
        if symbol != EOS:
            place.symbol = symbol
        code += 1
    place = root
    for _ in range(MAX_PADDING + 1):
        place.ends = True
        assert place.right is not None
        place = place.right
    return root


ROOT: Final = build()


def build_broken() -> HuffmanState:
    """Where a string is that has EOS in it: there is no way out."""
    state = HuffmanState()
    state.symbols = [b""] * 256
    state.steps = [state] * 256
    return state


BROKEN: Final = build_broken()


def decode(data: bytes) -> bytes | None:
    """The string, None where it is none."""
    found: list[bytes] = []
    state = ROOT
    for byte in data:
        try:
            found.append(state.symbols[byte])
        except IndexError:  # met for the first time
            state.fill()
            found.append(state.symbols[byte])
        state = state.steps[byte]
    return b"".join(found) if state.ends else None
