"""Fault injection: which requests are delayed, which are aborted, and with what."""

from __future__ import annotations

from random import Random

from ...routing.decision import Fault


def hits(percent: float, rng: Random) -> bool:
    """One toss of the coin; as fine as Envoy's millionths."""
    return percent > 0.0 and (percent >= 100.0 or rng.random() * 100.0 < percent)


def delay_of(fault: Fault, rng: Random) -> float:
    """Seconds by which this request is delayed; 0: not."""
    return fault.delay if fault.delay > 0.0 and hits(fault.delay_percent, rng) else 0.0


def is_aborted(fault: Fault, rng: Random) -> bool:
    """Whether this request is aborted; tossed after the delay and independently of it."""
    return (fault.abort_status > 0 or fault.abort_grpc >= 0) and hits(fault.abort_percent, rng)
