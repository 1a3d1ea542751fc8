"""One snapshot laid over another: what a change says, and everything else as it is."""

from __future__ import annotations

from typing import Any

import msgspec

from .snapshot import Snapshot
from .store import RULE_KINDS


def overlay(below: Snapshot, above: Snapshot) -> Snapshot:
    """The objects of `above` in the place of those with the same names; the services, pods and mesh settings that it
    does not have stay."""
    names = (*RULE_KINDS.values(), "namespaces", "workloads", "services")
    # What it does not have stays the very same mapping: nothing that depends on that alone is made again.
    merged: dict[str, Any] = {
        name: {**getattr(below, name), **getattr(above, name)} for name in names if getattr(above, name)
    }
    mesh = above.mesh if above.mesh != Snapshot().mesh else below.mesh
    return msgspec.structs.replace(below, mesh=mesh, **merged)
