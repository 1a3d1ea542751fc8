"""What the datapath needs of the host, found out by trying; each finding with its mend. Leaves nothing behind."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from . import binding, bpf, bpffs, cgroups, headers, namespaces
from .hooks import HOOKS, SK_LOOKUP, HookProgram

# capabilities(7)
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21, "CAP_PERFMON": 38, "CAP_BPF": 39}

#: `return 1;`: what every cgroup hook accepts.
_RETURN_1 = bytes.fromhex("b700000001000000 9500000000000000")

_OURS = "nodemesh_"

_MORE = f"run as root, or give the container {', '.join(_CAPABILITIES)}"


class ProbeVerdict(StrEnum):
    """ok; unknown: this user may not find out; warning: works, but somebody should know; failed: redirects cannot
    work."""

    OK = "ok"
    UNKNOWN = "unknown"
    WARNING = "warning"
    FAILED = "failed"


class ProbeResult(NamedTuple):
    """One probe's outcome: what was found and, unless all is well, what would mend it."""

    name: str
    verdict: ProbeVerdict
    found: str
    mend: str = ""


class ForeignProgram(NamedTuple):
    """Somebody else's program at one of our hooks, as a pod of `cgroup` meets it. `first`: it runs before ours and may
    have changed the address that we see."""

    hook: str
    name: str
    id: int
    first: bool


def probe(cgroup: Path | None = None, compiled: bool = False) -> list[ProbeResult]:
    """Every finding, in the order in which they should be mended. `cgroup` is where foreign programs are looked for: a
    pod's, or None for the hierarchy's root and every pod. `compiled`: the programs need no compiler here."""
    return [
        capabilities(),
        *(kernel() if not lacking() else _untried("hooks", "kernel", "mptcp")),
        btf(),
        jit(),
        *cgroup_v2(cgroup),
        bpf_file_system(),
        *(
            [bcc(), kernel_headers()]
            if not compiled
            else [ProbeResult("bcc", ProbeVerdict.OK, "not needed: all is compiled")]
        ),
    ]


def _untried(*names: str) -> Iterator[ProbeResult]:
    """Trying would find out what this process may do, not what the kernel can."""
    for name in names:
        yield ProbeResult(name, ProbeVerdict.UNKNOWN, "cannot be tried by this process", _MORE)


def failures(findings: list[ProbeResult]) -> list[str]:
    """One sentence with its mend for each finding without which nothing works."""
    return [f"{one.found}: {one.mend}" for one in findings if one.verdict is ProbeVerdict.FAILED]


def lacking(status: Path = Path("/proc/self/status")) -> list[str]:
    """The capabilities that are not in effect, CAP_SYS_ADMIN among them: it is for entering pods' network namespaces
    (setns(2))."""
    line = next(line for line in status.read_text().splitlines() if line.startswith("CapEff:"))
    effective = int(line.split()[1], 16)
    return [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]


def capabilities(status: Path = Path("/proc/self/status")) -> ProbeResult:
    """A user who is not root asks what root could do: this process says nothing about that."""
    missing = lacking(status)
    if missing and os.geteuid() != 0:
        return ProbeResult("capabilities", ProbeVerdict.UNKNOWN, "this user has none; root has", _MORE)
    if missing:
        return ProbeResult("capabilities", ProbeVerdict.FAILED, f"the process lacks {', '.join(missing)}", _MORE)
    return ProbeResult("capabilities", ProbeVerdict.OK, ", ".join(_CAPABILITIES))


def kernel() -> Iterator[ProbeResult]:
    """The kernel's features, each tried."""
    release = os.uname().release
    every = (*HOOKS, SK_LOOKUP)
    missing = [hook for hook in every if not _accepts(hook)]
    if missing:
        yield ProbeResult(
            "hooks",
            ProbeVerdict.FAILED,
            f"Linux {release} refuses {', '.join(f'{hook.name} (since {hook.since})' for hook in missing)}",
            "use Linux 5.15 or newer with CONFIG_CGROUP_BPF, and allow bpf(2) in the container's seccomp profile",
        )
    else:
        yield ProbeResult("hooks", ProbeVerdict.OK, f"Linux {release} has {', '.join(hook.name for hook in every)}")
    absent = [
        name for name, there in (("SO_NETNS_COOKIE", _netns_cookie()), ("lookup and delete", _take())) if not there
    ]
    if absent:
        yield ProbeResult(
            "kernel", ProbeVerdict.FAILED, f"Linux {release} lacks {' and '.join(absent)}", "use Linux 5.15 or newer"
        )
    else:
        yield ProbeResult("kernel", ProbeVerdict.OK, "namespace cookies, and map entries taken in one step")
    if knows_mptcp():
        yield ProbeResult("mptcp", ProbeVerdict.OK, "apps that dial by MPTCP see what they dialled")
    else:
        yield ProbeResult(
            "mptcp", ProbeVerdict.OK, "apps that dial by MPTCP see the loopback as their peer; others are spared that"
        )


def btf(path: Path = Path("/sys/kernel/btf/vmlinux")) -> ProbeResult:
    """Only sockmap needs it: all other programs use stable context structs."""
    if path.exists():
        return ProbeResult("btf", ProbeVerdict.OK, "the kernel describes its types")
    return ProbeResult("btf", ProbeVerdict.OK, "the kernel does not describe its types; only sockmap needs that")


def jit(path: Path = Path("/proc/sys/net/core/bpf_jit_enable")) -> ProbeResult:
    try:
        on = path.read_text().strip() != "0"
    except OSError:  # built in for good (CONFIG_BPF_JIT_ALWAYS_ON hides it from containers)
        return ProbeResult("jit", ProbeVerdict.OK, "not switchable here")
    if on:
        return ProbeResult("jit", ProbeVerdict.OK, "eBPF is compiled to machine code")
    return ProbeResult(
        "jit", ProbeVerdict.WARNING, "eBPF is interpreted, which is slow", "sysctl net.core.bpf_jit_enable=1"
    )


def cgroup_v2(cgroup: Path | None) -> Iterator[ProbeResult]:
    try:
        mount = cgroups.find_mount()
    except cgroups.NoCgroup2 as error:
        lacking, _, mend = str(error).partition(": ")
        yield ProbeResult("cgroup", ProbeVerdict.FAILED, lacking, mend)
        return
    yield ProbeResult("cgroup", ProbeVerdict.OK, f"cgroup v2 at {mount}")
    places = [cgroup] if cgroup is not None else [mount, *cgroups.all_pods(mount)]
    found: dict[ForeignProgram, None] = {}
    for place in places:
        try:
            found |= dict.fromkeys(foreign_programs(place, above=place == mount))
        except OSError as error:
            if not place.is_dir() and place is not cgroup:
                continue  # a pod that has ended meanwhile
            why = f"the programs at {place} cannot be listed ({error.strerror})"
            verdict = ProbeVerdict.UNKNOWN if isinstance(error, PermissionError) else ProbeVerdict.WARNING
            yield ProbeResult("foreign programs", verdict, why, "run as root, on a folder of cgroup v2")
            return
    yield _judge(list(found))


def _judge(programs: list[ForeignProgram]) -> ProbeResult:
    """What other people's programs mean for us; those that run before ours first."""
    programs.sort(key=lambda one: not one.first)
    said = ", ".join(f"{one.name} ({one.hook}, id {one.id})" for one in programs if one.first)
    if said:
        return ProbeResult(
            "foreign programs",
            ProbeVerdict.WARNING,
            f"{said}: these run before ours and may rewrite service addresses first",
            "exempt meshed pods from the other's socket load balancing (Cilium: socketLB.hostNamespaceOnly=true); "
            "until then services are recognised by their endpoints",
        )
    said = ", ".join(f"{one.name} ({one.hook}, id {one.id})" for one in programs)
    if said:
        return ProbeResult(
            "foreign programs", ProbeVerdict.OK, f"{said}: attached above the pods, so they run after ours"
        )
    return ProbeResult("foreign programs", ProbeVerdict.OK, "none at our hooks")


def foreign_programs(cgroup: Path, above: bool = False) -> list[ForeignProgram]:
    """Other people's programs that run for processes of `cgroup`, by hook and in running order. The kernel runs a
    cgroup's own programs before its parents' (kernel/bpf/cgroup.c, compute_effective_progs), so only those that are
    attached to the pod itself, and before ours, can be first. `above`: the cgroup is no pod's but one that holds pods.
    Raises OSError."""
    found: list[ForeignProgram] = []
    fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for hook in HOOKS:
            own = bpf.programs_of_cgroup(fd, hook.attach_type)
            names = {number: bpf.program_info_by_id(number).name for number in own}
            ours = next((place for place, number in enumerate(own) if names[number].startswith(_OURS)), len(own))
            for number in bpf.programs_of_cgroup(fd, hook.attach_type, effective=True):
                name = names.get(number) or bpf.program_info_by_id(number).name
                if not name.startswith(_OURS):
                    first = not above and number in own and own.index(number) < ours
                    found.append(ForeignProgram(hook.name, name or "unnamed", number, first))
    finally:
        os.close(fd)
    return found


def bpf_file_system() -> ProbeResult:
    if bpffs.is_bpffs(bpffs.MOUNT_POINT):
        return ProbeResult("bpffs", ProbeVerdict.OK, f"mounted at {bpffs.MOUNT_POINT}")
    if bpffs.MOUNT_POINT.is_dir():
        return ProbeResult("bpffs", ProbeVerdict.OK, f"not mounted at {bpffs.MOUNT_POINT}; nodemesh does it at start")
    return ProbeResult("bpffs", ProbeVerdict.FAILED, f"{bpffs.MOUNT_POINT} is missing", "mount sysfs at /sys")


def bcc() -> ProbeResult:
    """Found, not imported: that would bring LLVM into this process."""
    if binding.find() is not None:
        return ProbeResult("bcc", ProbeVerdict.OK, "BCC's Python binding is installed")
    return ProbeResult("bcc", ProbeVerdict.FAILED, binding.MISSING, binding.MEND)


def kernel_headers(user_headers: Path = headers.USER_HEADERS) -> ProbeResult:
    if os.environ.get("BCC_KERNEL_SOURCE"):
        return ProbeResult("headers", ProbeVerdict.OK, f"BCC_KERNEL_SOURCE={os.environ['BCC_KERNEL_SOURCE']}")
    if (user_headers / "linux" / "version.h").is_file():
        return ProbeResult(
            "headers", ProbeVerdict.OK, f"user-space headers in {user_headers}; the kernel's own are not needed"
        )
    return ProbeResult("headers", ProbeVerdict.FAILED, f"no headers in {user_headers}/linux", "install linux-libc-dev")


def _accepts(hook: HookProgram) -> bool:
    """Whether the kernel loads a program for the hook."""
    try:
        os.close(bpf.program_load(hook.program_type, hook.attach_type, _RETURN_1, "probe"))
    except OSError:
        return False
    return True


def knows_mptcp() -> bool:
    """Whether the kernel tells MPTCP's sockets from others (bpf_skc_to_mptcp_sock, Linux 5.19)."""
    code = b"".join(
        (
            struct.pack("=BBhi", 0x79, 0x11, 64, 0),  # r1 = context->sk
            struct.pack("=BBhi", 0x15, 0x01, 1, 0),  # if it is NULL, the next one is skipped
            struct.pack("=BBhi", 0x85, 0x00, 0, 196),  # bpf_skc_to_mptcp_sock(r1)
            _RETURN_1,
        )
    )
    connect4 = next(hook for hook in HOOKS if hook.name == "connect4")
    try:
        os.close(bpf.program_load(connect4.program_type, connect4.attach_type, code, "probe"))
    except OSError:
        return False
    return True


def _netns_cookie() -> bool:
    with socket.socket() as sock:
        try:
            return namespaces.netns_cookie(sock) > 0
        except OSError:
            return False


def _take() -> bool:
    """Whether hash maps know BPF_MAP_LOOKUP_AND_DELETE_ELEM: looking for what is not there says ENOENT then."""
    try:
        probed = bpf.Map(bpf.map_create("hash", 8, 8, 1))
    except OSError:
        return False
    try:
        probed.take(bytes(8))
    except OSError as error:
        return error.errno == errno.ENOENT
    finally:
        probed.close()
    return True
