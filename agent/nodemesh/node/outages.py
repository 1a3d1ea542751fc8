"""What the log says of an API server that falls silent."""

from __future__ import annotations

import asyncio
import time

from ..registry.sources.outage import Outage
from .logs import Log

#: Seconds of silence after which the API server counts as lost, and between looks.
LOST_AFTER = 3.0
LOOK_INTERVAL = 0.5


def lost_since(outage: Outage) -> float:
    """When the API server fell silent, in seconds since the epoch; 0 while it answers."""
    return outage.since if outage.since and time.time() - outage.since >= LOST_AFTER else 0.0


async def tell_outages(outage: Outage, log: Log) -> None:
    """Say once that the API server is lost, and once that it is there again, until cancelled."""
    lost = 0.0
    while True:
        await asyncio.sleep(LOOK_INTERVAL)
        if not lost and (lost := lost_since(outage)):
            log.warning("the API server does not answer; what is known serves on", why=outage.why)
        elif lost and not outage.since:
            log.info("the API server answers again", after=f"{time.time() - lost:.0f}s")
            lost = 0.0
