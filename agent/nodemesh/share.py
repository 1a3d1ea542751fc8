"""Where the files lie that come with the package and are no Python: the eBPF programs, and the manifests."""

from __future__ import annotations

from pathlib import Path

#: The build backend puts them into the package; a checkout has them beside `agent/`.
PLACES = (Path(__file__).resolve().parent / "_share", Path(__file__).resolve().parents[2])


class ShareMissing(Exception):
    """A folder that belongs to the package is not there: one sentence with the mend."""


def folder(name: str) -> Path:
    """The folder of this name, `bpf` or one below `manifests`. Raises ShareMissing."""
    for place in PLACES:
        if (place / name).is_dir():
            return place / name
    raise ShareMissing(f"{PLACES[0] / name} is missing: install nodemesh again, from its wheel")
