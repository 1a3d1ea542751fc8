"""Where programs, maps and links stand in the BPF file system."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

DEFAULT_ROOT = Path("/sys/fs/bpf/nodemesh")

#: Version of all map layouts: grows with any change to bpf/include/types.h or to maps.py.
LAYOUT = 5


@dataclass(frozen=True)
class Pins:
    """The folders under `root`. Maps and programs stand in a folder per layout version, so that a version with other
    layouts fills its own maps first and takes the links over last; links (one folder per pod) are shared by all."""

    root: Path = DEFAULT_ROOT
    layout: int = LAYOUT

    @property
    def maps(self) -> Path:
        return self.root / f"layout{self.layout}" / "maps"

    @property
    def programs(self) -> Path:
        return self.root / f"layout{self.layout}" / "programs"

    @property
    def links(self) -> Path:
        return self.root / "links"
