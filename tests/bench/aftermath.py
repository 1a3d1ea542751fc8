"""What suites with proxies side by side do alike: their pace, and the look at what is left when a load has gone."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from .processes import Usage
from .proxy import Proxy

P = TypeVar("P", bound=Proxy)

IDLE_LIMIT = 0.05  # of a core; what a proxy may use when nobody asks it anything
SETTLE = 2.0  # seconds from the last client's end to the look at idleness
DESCRIPTOR_SLACK = 8  # log files and sockets that a proxy opens once on its first use


class Pace(NamedTuple):
    rounds: int
    seconds: float
    idle: float  # seconds over which idleness is measured

    def turns(self, proxies: Sequence[P]) -> Iterator[P]:
        """Who is measured when: each once a round, and first by turns, so that what drifts meanwhile favours nobody."""
        for number in range(self.rounds):
            yield from proxies if number % 2 == 0 else reversed(proxies)


FULL = Pace(rounds=8, seconds=2, idle=1.0)
QUICK = Pace(rounds=1, seconds=1, idle=0.5)


def subfolder(folder: Path, name: str) -> Path:
    path = folder / name
    path.mkdir()
    folder.chmod(0o755)
    return path


def restless(proxies: Sequence[Proxy], pace: Pace) -> list[str]:
    """Which proxies still hold clients or use CPU some seconds after the load has gone."""
    time.sleep(SETTLE)
    before = {proxy: proxy.process.usage().cpu for proxy in proxies}
    time.sleep(pace.idle)
    found = []
    for proxy in proxies:
        used = (proxy.process.usage().cpu - before[proxy]) / pace.idle
        if not proxy.process.alive():
            found.append(f"{proxy.name} has died:\n{proxy.process.tail()}")
        if used > IDLE_LIMIT:
            found.append(f"{proxy.name} uses {used:.0%} of a core with nothing to do")
        if clients := proxy.clients():
            found.append(f"{proxy.name} still holds {clients} connections of clients that have gone")
    return found


def leftovers(proxies: Sequence[Proxy], before: Mapping[Proxy, Usage], pace: Pace, kept: int = 0) -> list[str]:
    """With load and upstream gone, what a proxy holds must be back to where it was before its first request, but for
    so many descriptors that it may keep for the next load."""
    found = restless(proxies, pace)
    for proxy in proxies:
        now = proxy.process.usage()
        gained = now.descriptors - before[proxy].descriptors
        if gained > DESCRIPTOR_SLACK + kept:
            found.append(f"{proxy.name} holds {gained} descriptors more than before the load")
        if now.processes != before[proxy].processes:
            found.append(f"{proxy.name} has {now.processes} processes, at first it had {before[proxy].processes}")
    return found
