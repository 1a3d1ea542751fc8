"""The links that hold the programs at a pod's cgroup: made, adopted, replaced, taken away."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from . import bpf
from .hooks import DNS_HOOKS, HOOKS, SOCKMAP_HOOKS, HookProgram
from .pins import Pins


class AttachError(Exception):
    """A pod's cgroup could not be hooked: one sentence with the mend."""


@dataclass(frozen=True)
class Attached:
    """One pinned link. `cgroup` is the cgroup's id, 0 once the cgroup is gone; `program` the program's id."""

    pod: str
    hook: str
    cgroup: int
    program: int


def attach(pins: Pins, pod: str, cgroup: Path, dns: bool = False, sockmap: bool = False) -> None:
    """Have every hook of `pins` at `cgroup`, pinned under the pod's name (its uid): links that are there are adopted,
    their programs replaced in one step where they are of an older load, links to another cgroup made anew. Those for
    DNS are there with `dns` only, those for sockmap with `sockmap`. Raises AttachError, FileNotFoundError where nothing
    is loaded."""
    try:
        target = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise AttachError(f"cgroup {cgroup} of pod {pod}: {error.strerror}") from error
    directory = pins.links / pod
    directory.mkdir(parents=True, exist_ok=True)
    try:
        identity = os.fstat(target).st_ino
        asked = (*(DNS_HOOKS if dns else ()), *(SOCKMAP_HOOKS if sockmap else ()))
        for hook in (*SOCKMAP_HOOKS, *reversed(DNS_HOOKS)):
            if hook not in asked:
                _remove(directory / hook.name)
        for hook in (*asked, *HOOKS):
            program = bpf.get(pins.programs / hook.name)
            try:
                _attach_hook(directory / hook.name, hook, program, target, identity)
            except OSError as error:
                detach(pins, pod)  # half the hooks would be worse than none
                raise AttachError(_explain(error, hook, cgroup)) from error
            finally:
                os.close(program)
    finally:
        os.close(target)


def _attach_hook(pin: Path, hook: HookProgram, program: int, cgroup: int, identity: int) -> None:
    if _adopt(pin, program, identity):
        return
    _remove(pin)
    link = bpf.link_create(program, cgroup, hook.attach_type)
    try:
        bpf.repin(pin, link)
    finally:
        os.close(link)


def _adopt(pin: Path, program: int, cgroup: int) -> bool:
    """Whether the pinned link now holds `program` at the cgroup with this id."""
    try:
        link = bpf.get(pin)
    except FileNotFoundError:
        return False
    try:
        info = bpf.link_info(link)
        if info.cgroup != cgroup:
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
    for hook in reversed((*SOCKMAP_HOOKS, *DNS_HOOKS, *HOOKS)):
        _remove(directory / hook.name)
    for left in directory.iterdir():  # a hook that this version does not know
        _remove(left)
    directory.rmdir()
    return True


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


def attached(pins: Pins) -> list[Attached]:
    """Every pinned link, by pod and hook."""
    found = []
    for pin in sorted(pins.links.glob("*/*")):
        link = bpf.get(pin)
        try:
            info = bpf.link_info(link)
        finally:
            os.close(link)
        found.append(Attached(pin.parent.name, pin.name, info.cgroup, info.program))
    return found


def attached_pods(pins: Pins) -> set[str]:
    """The pods (uids) that have links, those of earlier runs included."""
    return {directory.name for directory in pins.links.iterdir()} if pins.links.is_dir() else set()
