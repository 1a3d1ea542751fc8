"""Whether this node offers sockmap: what MeshConfig says, whether any pod asks, what the kernel can, and what the
torture found. Decided once it is needed, and again when the setting changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import Enum, auto

from ..config.meshconfig import SockmapMode
from ..datapath.loader import LoadError
from .kernel import Kernel
from .logs import Log

log = Log("control")


class SockmapState(Enum):
    """off -> unasked -> trying -> on or refused; back to off whenever the setting says so, and from there again."""

    OFF = auto()
    UNASKED = auto()
    TRYING = auto()
    ON = auto()
    REFUSED = auto()


class SockmapOffer:
    """`changed` is called when the node begins or ceases to offer it."""

    def __init__(self, kernel: Kernel, changed: Callable[[], None]) -> None:
        self._kernel = kernel
        self._changed = changed
        self._setting = SockmapMode.OFF
        self._asked = False
        self._turn = 0  # grows with each change of the setting, and at the end
        self.state = SockmapState.OFF
        self.why = ""  # what the torture found, or what the kernel lacks

    @property
    def offered(self) -> bool:
        return self.state is SockmapState.ON

    def __str__(self) -> str:
        """For `nodemesh status`."""
        if self.state is SockmapState.OFF:
            return "off"
        if self.state is SockmapState.UNASKED:
            return f"{self._setting}: no pod asks for it"
        if self.state is SockmapState.TRYING:
            return f"{self._setting}: being tried"
        return f"{self._setting}: {'on' if self.offered else 'refused'}, {self.why}"

    def want(self, setting: SockmapMode, asked: bool) -> None:
        """What MeshConfig says now, and whether any pod asks for it. A verdict stands until the setting changes."""
        self._asked = asked
        if setting is not self._setting:
            self._setting = setting
            self._turn += 1
            self._enter(SockmapState.OFF if setting is SockmapMode.OFF else SockmapState.UNASKED)

    async def decide(self) -> None:
        """To be called again and again once the data path is proven: the first time that there is something to decide,
        it is, which takes some seconds."""
        if self.state is not SockmapState.UNASKED or not self._asked:
            return
        setting, turn = self._setting, self._turn
        self._enter(SockmapState.TRYING)
        trying = asyncio.ensure_future(asyncio.to_thread(self._try, setting, turn))
        try:
            sound, why = await asyncio.shield(trying)
        except asyncio.CancelledError:  # it has hooks and processes of its own to take away
            self._turn += 1
            await trying
            raise
        if self._turn != turn:
            return  # decided again
        self.why = why
        (log.info if sound else log.warning)("sockmap", setting=setting, on=sound, why=why)
        self._enter(SockmapState.ON if sound else SockmapState.REFUSED)

    def _try(self, setting: SockmapMode, turn: int) -> tuple[bool, str]:
        """Whether to offer it, and why."""
        try:
            self._kernel.load_sockmap()
        except LoadError as error:
            for line in error.log.splitlines()[-20:]:
                log.warning("loader", said=line)
            return False, str(error)
        except OSError as error:
            return False, f"its programs cannot be loaded ({error})"
        if setting is SockmapMode.ON:
            return True, "untested, as the setting says"
        verdict = self._kernel.torture(lambda: self._turn != turn)
        return verdict.worthwhile, str(verdict)

    def _enter(self, state: SockmapState) -> None:
        before, self.state = self.offered, state
        if self.offered != before:
            self._changed()
