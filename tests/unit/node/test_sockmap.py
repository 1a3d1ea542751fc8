"""Whether a node offers sockmap: decided when it is needed, by what the kernel can and what the torture finds."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from nodemesh.config.meshconfig import SockmapMode
from nodemesh.datapath.loader import LoadError
from nodemesh.datapath.torture.run import TortureVerdict
from nodemesh.node.sockmap import SockmapOffer


class Kernel:
    """One that loads, or does not, and whose torture ends as it is told to."""

    def __init__(self, verdict: TortureVerdict, error: str = "") -> None:
        self.verdict = verdict
        self.error = error
        self.did: list[str] = []

    def load_sockmap(self) -> None:
        self.did.append("load")
        if self.error:
            raise LoadError(self.error)

    def torture(self, abandoned) -> TortureVerdict:
        self.did.append("torture")
        return self.verdict


GOOD = TortureVerdict("", 1.5, 27, 3.0)
POOR = TortureVerdict("", 1.04, 27, 3.0)
WRONG = TortureVerdict("reset, non-blocking app: an end instead of a reset", 0.0, 27, 1.0)


def decided(kernel: Any, setting: SockmapMode, asked: bool = True) -> tuple[SockmapOffer, list[bool]]:
    heard: list[bool] = []
    offer = SockmapOffer(kernel, lambda: heard.append(offer.offered))
    offer.want(setting, asked)
    asyncio.run(offer.decide())
    return offer, heard


@pytest.mark.parametrize(
    ("setting", "asked"), [(SockmapMode.OFF, True), (SockmapMode.AUTO, False), (SockmapMode.ON, False)]
)
def test_nothing_is_done_while_it_is_off_or_nobody_asks(setting, asked):
    kernel = Kernel(GOOD)
    offer, heard = decided(kernel, setting, asked)
    assert kernel.did == heard == []
    assert str(offer) == ("off" if setting is SockmapMode.OFF else f"{setting}: no pod asks for it")


def test_auto_offers_what_passed_and_is_worth_it():
    offer, heard = decided(Kernel(GOOD), SockmapMode.AUTO)
    assert heard == [True]
    assert str(offer) == "auto: on, 27 cases passed in 3.0 s, 1.50 times as many round trips per core"


@pytest.mark.parametrize(
    ("kernel", "why"),
    [
        (Kernel(WRONG), "an end instead of a reset"),
        (Kernel(POOR), "1.04 times as many round trips per core: not worth it"),
        (Kernel(GOOD, "the kernel has no sk_psock.msg_tot_len"), "the kernel has no sk_psock.msg_tot_len"),
    ],
)
def test_auto_refuses_with_the_reason(kernel, why):
    offer, heard = decided(kernel, SockmapMode.AUTO)
    assert heard == [] and not offer.offered
    assert str(offer).startswith("auto: refused, ") and why in str(offer)


def test_on_needs_no_torture_but_a_kernel_that_can():
    kernel = Kernel(WRONG)
    assert decided(kernel, SockmapMode.ON)[1] == [True]
    assert kernel.did == ["load"]
    assert "refused" in str(decided(Kernel(GOOD, "no BTF"), SockmapMode.ON)[0])


def test_a_verdict_stands_until_the_setting_changes():
    kernel = Kernel(GOOD)
    offer, heard = decided(kernel, SockmapMode.AUTO)
    offer.want(SockmapMode.AUTO, False)
    asyncio.run(offer.decide())
    assert offer.offered and kernel.did == ["load", "torture"]
    offer.want(SockmapMode.OFF, True)
    assert heard == [True, False] and str(offer) == "off"
    offer.want(SockmapMode.AUTO, True)
    asyncio.run(offer.decide())
    assert heard == [True, False, True]


def test_a_setting_that_changes_meanwhile_makes_the_verdict_void():
    kernel: Any = Kernel(GOOD)
    offer = SockmapOffer(kernel, lambda: None)
    offer.want(SockmapMode.AUTO, True)
    torture = kernel.torture

    def change(abandoned) -> TortureVerdict:
        offer.want(SockmapMode.OFF, True)
        assert abandoned()
        return torture(abandoned)

    kernel.torture = change
    asyncio.run(offer.decide())
    assert not offer.offered and str(offer) == "off"


def test_an_end_of_control_waits_for_the_torture_to_clean_up():
    kernel: Any = Kernel(GOOD)
    began, done = threading.Event(), threading.Event()

    def slow(abandoned) -> TortureVerdict:
        began.set()
        while not abandoned():
            time.sleep(0.001)
        done.set()
        return GOOD

    kernel.torture = slow
    offer = SockmapOffer(kernel, lambda: None)
    offer.want(SockmapMode.AUTO, True)

    async def end() -> None:
        deciding = asyncio.create_task(offer.decide())
        await asyncio.to_thread(began.wait, 5)
        deciding.cancel()
        with pytest.raises(asyncio.CancelledError):
            await deciding
        assert done.is_set() and not offer.offered

    asyncio.run(end())
