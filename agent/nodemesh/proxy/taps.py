"""What a worker has been told to look for while it decides about requests: a shadow, a recording."""

from __future__ import annotations

import msgspec

from ..routing.tables import Tables
from ..routing.wire import apply_update
from ..telemetry.disagreement import ShadowCounts
from . import messages
from .proxy import Proxy
from .recording import HeadsTap
from .shadow import CandidateTap, Tally
from .tap import Tap


class Taps:
    """Does what control says about them."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._tally: Tally | None = None
        self._shadow: CandidateTap | None = None
        self._heads: HeadsTap | None = None
        self._refused = ""  # why the newest candidate is not in the worker

    def handle(self, message: messages.AboutTaps, body: bytes, tables: Tables) -> tuple[messages.Message, bytes] | None:
        """The answer and its body, if the message asks for one. `body` came with it; `tables` are the live ones."""
        if isinstance(message, messages.SetShadow):
            self._set_shadow(message, body, tables)
        elif isinstance(message, messages.EndShadow):
            self._tally = self._shadow = None
            self._refused = ""
        elif isinstance(message, messages.SetRecording):
            self._heads = HeadsTap(message.run, message.most, frozenset(message.shown), self._proxy.shared.clock)
        elif isinstance(message, messages.EndRecording):
            self._heads = None
        elif isinstance(message, messages.GetShadow):
            return messages.ShadowCounted(id=message.id), msgspec.msgpack.encode(self._counts(message.run))
        elif isinstance(message, messages.GetHeads):
            heads = self._heads
            found = heads.take() if heads is not None and heads.run == message.run else ([], 0)
            return messages.Heads(id=message.id), msgspec.msgpack.encode(found)
        self._tap()
        return None

    def end(self) -> None:
        """Nobody is there any more who would ask for what is found."""
        if self._shadow is not None or self._heads is not None:
            self._tally = self._shadow = self._heads = None
            self._tap()

    def _tap(self) -> None:
        taps: list[Tap] = [tap for tap in (self._shadow, self._heads) if tap is not None]
        self._proxy.tap(tuple(taps))

    def leave(self) -> None:
        """Other tables are coming: no candidate stands beside them yet."""
        self._shadow = None
        self._proxy.taps = (self._heads,) if self._heads is not None else ()

    def _set_shadow(self, message: messages.SetShadow, update: bytes, tables: Tables) -> None:
        """Have a candidate beside the live tables, or keep none where it does not fit."""
        try:
            candidate = apply_update(tables, update)
        except ValueError as error:
            self._shadow, self._refused = None, str(error)
            return
        if self._tally is None or self._tally.run != message.run:
            self._tally = Tally(message.run, self._proxy.shared.clock)
        self._refused = ""
        self._shadow = CandidateTap(tables, candidate, self._proxy.dialled, self._tally)

    def _counts(self, run: int) -> ShadowCounts:
        tally, shadow = self._tally, self._shadow
        if tally is None or tally.run != run:
            return ShadowCounts(run=run, error=self._refused)
        return shadow.counts() if shadow is not None else tally.counts(0)
