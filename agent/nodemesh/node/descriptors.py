"""How many descriptors a process of the agent may have: each proxied connection takes one, and one more where it has an
upstream connection of its own."""

from __future__ import annotations

import resource


def raise_limit() -> int:
    """Have as many as this process, and those that it starts, may have at all (getrlimit(2)): the usual soft limit of
    1,024 is there for programs that use select(2), which none of ours does. The hard limit is the operator's word."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
