"""Host names of listeners and routes: whether they meet, and where (a `*` stands for one label or more)."""

from __future__ import annotations

from collections.abc import Iterable


def intersection(one: str, other: str) -> str | None:
    """The narrower of two hosts where either covers the other; empty stands for any host. None: they never meet."""
    if not one or not other:
        return one or other
    if host_covers(one, other):
        return other
    return one if host_covers(other, one) else None


def host_covers(pattern: str, host: str) -> bool:
    """Whether `pattern` takes all that `host` (perhaps a wildcard itself) stands for."""
    if not pattern or pattern == host:
        return True
    if not pattern.startswith("*."):
        return False
    return host.endswith(pattern[1:]) and len(host) > len(pattern) - 1


def specificity(host: str) -> tuple[int, int]:
    """The greater, the more it says: exact names, then the longer wildcard, then none."""
    if not host:
        return (0, 0)
    return (1, len(host)) if host.startswith("*.") else (2, len(host))


def best(hosts: Iterable[str], name: str) -> str | None:
    """The most specific of the hosts that takes a name."""
    return max((host for host in hosts if host_covers(host, name)), key=specificity, default=None)
