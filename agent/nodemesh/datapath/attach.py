"""The links that hold the programs at a pod's cgroup and network namespace: made, adopted, replaced, taken away.

Programs of one layout tell each other what they know through their maps, so that those of two versions stand side by
side until the older go as a whole (`remove_other_links`). Only those that rewrite addresses are replaced in one
step."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from . import bpf, steering
from .hooks import DNS_HOOKS, HOOKS, SK_LOOKUP, SOCKMAP_HOOKS, HookProgram
from .pins import Pins


class AttachError(Exception):
    """A pod's cgroup could not be hooked: one sentence with the mend."""


@dataclass(frozen=True)
class PinnedLink:
    """One pinned link. `target` is the inode number of the cgroup or namespace, 0 once that is gone; `program` the
    program's id; `layout` that of its maps, 0 for hooks of which there is one at a time."""

    pod: str
    hook: str
    layout: int
    target: int
    program: int


#: Between a hook's name and its layout, in the name of a pin.
_LAYOUT = "@"

_REWRITING = frozenset(hook.name for hook in (*HOOKS, *DNS_HOOKS) if hook.rewrites)


def steer(pins: Pins, pod: str, namespace: int, cookie: int) -> None:
    """Have redirected connections in the pod's namespace (a descriptor, and its cookie) handed to its listener; before
    `attach`, which redirects them. Again: by the newest program. Raises AttachError."""
    directory = pins.links / pod
    directory.mkdir(parents=True, exist_ok=True)
    try:
        program = steering.load(pins, cookie)
        try:
            _attach_hook(_pin(pins, directory, SK_LOOKUP), SK_LOOKUP, program, namespace)
        finally:
            os.close(program)
    except OSError as error:
        detach(pins, pod)
        raise AttachError(f"{SK_LOOKUP.name} in the network namespace of pod {pod}: {error.strerror}") from error


def attach(pins: Pins, pod: str, cgroup: Path, dns: bool = False, sockmap: bool = False) -> None:
    """Have every hook of `pins` at `cgroup`, pinned under the pod's name (its uid): links that are there are adopted,
    their programs replaced in one step where they are of an older load, links to another cgroup made again. Those for
    DNS are there with `dns` only, those for sockmap with `sockmap`. Raises AttachError, FileNotFoundError where nothing
    is loaded."""
    try:
        target = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise AttachError(f"cgroup {cgroup} of pod {pod}: {error.strerror}") from error
    directory = pins.links / pod
    directory.mkdir(parents=True, exist_ok=True)
    try:
        asked = (*(DNS_HOOKS if dns else ()), *(SOCKMAP_HOOKS if sockmap else ()))
        for hook in (*SOCKMAP_HOOKS, *reversed(DNS_HOOKS)):
            if hook not in asked:
                _remove(_pin(pins, directory, hook))
        for hook in (*asked, *HOOKS):
            program = bpf.get(pins.programs / hook.name)
            try:
                _attach_hook(_pin(pins, directory, hook), hook, program, target)
            except OSError as error:
                detach(pins, pod)  # half the hooks would be worse than none
                raise AttachError(_explain(error, hook, cgroup)) from error
            finally:
                os.close(program)
    finally:
        os.close(target)


def _pin(pins: Pins, directory: Path, hook: HookProgram) -> Path:
    return directory / (hook.name if hook.rewrites else f"{hook.name}{_LAYOUT}{pins.layout}")


def _attach_hook(pin: Path, hook: HookProgram, program: int, target: int) -> None:
    if _adopt(pin, program, os.fstat(target).st_ino):
        return
    _remove(pin)
    link = bpf.link_create(program, target, hook.attach_type)
    try:
        bpf.repin(pin, link)
    finally:
        os.close(link)


def _adopt(pin: Path, program: int, target: int) -> bool:
    """Whether the pinned link now holds `program` at the cgroup or namespace with this inode number."""
    try:
        link = bpf.get(pin)
    except FileNotFoundError:
        return False
    try:
        info = bpf.link_info(link)
        if info.target != target:
            return False
        if info.program != bpf.program_info(program).id:
            bpf.link_update(link, program)
        return True
    finally:
        os.close(link)


def _explain(error: OSError, hook: HookProgram, cgroup: Path) -> str:
    where = f"{hook.name} at {cgroup}"
    if error.errno == errno.EPERM:
        return (
            f"{where} is not permitted: nodemesh needs CAP_BPF and CAP_NET_ADMIN, and no parent cgroup may hold a "
            "program attached without BPF_F_ALLOW_MULTI (bpftool cgroup tree shows them)"
        )
    if error.errno == errno.EBADF:
        return f"{where} is not a cgroup v2 directory"
    if error.errno == errno.EINVAL:
        return f"{where} is refused by this kernel: bpf links on cgroups need Linux 5.7, this hook {hook.since}"
    return f"{where}: {error.strerror}"


def detach(pins: Pins, pod: str) -> bool:
    """Take the pod's links away, connects first; whether there were any. Connections go on as they are."""
    directory = pins.links / pod
    if not directory.is_dir():
        return False
    for pin in sorted(directory.iterdir(), key=lambda pin: pin.name not in _REWRITING):
        _remove(pin)
    directory.rmdir()
    return True


def remove_other_links(pins: Pins) -> None:
    """Take away what older or newer versions have attached beside ours: once every pod has ours."""
    for pin in sorted(pins.links.glob("*/*")):
        if pin.name not in _REWRITING and not pin.name.endswith(f"{_LAYOUT}{pins.layout}"):
            _remove(pin)


def _remove(pin: Path) -> None:
    try:
        link = bpf.get(pin)
    except FileNotFoundError:
        return
    try:
        bpf.link_detach(link)
    finally:
        os.close(link)
    pin.unlink()


def attached(pins: Pins) -> list[PinnedLink]:
    """Every pinned link, by pod and hook."""
    found = []
    for pin in sorted(pins.links.glob("*/*")):
        link = bpf.get(pin)
        try:
            info = bpf.link_info(link)
        finally:
            os.close(link)
        hook, _, layout = pin.name.partition(_LAYOUT)
        found.append(PinnedLink(pin.parent.name, hook, int(layout or 0), info.target, info.program))
    return found


def attached_pods(pins: Pins) -> set[str]:
    """The pods (uids) that have links, those of earlier runs included."""
    return {directory.name for directory in pins.links.iterdir()} if pins.links.is_dir() else set()
