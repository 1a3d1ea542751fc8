"""Takes everything away that nodemesh has left in the kernel: links, programs, maps, in this order."""

from __future__ import annotations

from pathlib import Path

from . import bpffs
from .attach import attached_pods, detach, remove_other_links
from .pins import Pins


def uninstall(pins: Pins) -> list[str]:
    """Detach every pod, unpin every program and map of every layout version, remove the folder; what was removed, one
    line each. Nothing there is no error: the list is empty. What others have put into the folder stays, and the folder
    with it. Raises bpffs.NotMounted for a folder that is no place for pins."""
    done: list[str] = []
    if not pins.root.is_dir():
        return done
    if not bpffs.is_bpffs(pins.root):
        raise bpffs.NotMounted(f"{pins.root} is not on a BPF file system: nothing of nodemesh can be pinned there")
    for pod in sorted(attached_pods(pins)):
        detach(pins, pod)
        done.append(f"detached the hooks of pod {pod}")
    for layout in sorted(pins.root.glob("layout*")):
        done.append(f"unpinned the programs and maps in {layout}")
        _remove(layout)
    for directory in (pins.links, pins.root):
        try:
            directory.rmdir()
        except OSError:  # never made, or with something of others in it
            continue
        done.append(f"removed {directory}")
    return done


def remove_other_layouts(pins: Pins) -> list[str]:
    """Take away the links, programs and maps of every layout version but this one: for an upgrade, once every pod has
    this version's. The folders removed."""
    remove_other_links(pins)
    others = [layout for layout in sorted(pins.root.glob("layout*")) if layout != pins.maps.parent]
    for layout in others:
        _remove(layout)
    return [str(layout) for layout in others]


def _remove(directory: Path) -> None:
    """rm -r, which on a BPF file system drops the references."""
    for path in sorted(directory.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    directory.rmdir()
