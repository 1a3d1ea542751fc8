"""What must hold before anything is started, each with the sentence that says what is missing and how to mend it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec

from .. import share
from ..datapath import probes
from ..datapath.loader import LoadError, is_compiled, load
from ..datapath.maps import LAYOUT
from ..datapath.pins import Pins
from ..datapath.uninstall import uninstall
from ..telemetry.access_log import open_log
from .kubeconfig import kubeconfig_of, own_namespace
from .logs import Log
from .options import Ebpf, RunOptions, StartError

log = Log("supervisor")

#: A relay's URL.
URL = re.compile(r"https?://[^\s/]+/?")


def missing_for_ebpf(options: RunOptions) -> str | None:
    """One sentence on all that this machine lacks to take connections over; None where it lacks nothing."""
    if os.geteuid() != 0:
        return "eBPF needs root; run as root, or use --ebpf off with --expose or --gateway-listen"
    root = options.cgroup_root
    if root and not Path(root, "cgroup.procs").exists():
        return f"{root} is no cgroup v2 folder; give --cgroup-root the mount point of cgroup2"
    try:
        compiled = is_compiled(share.folder("bpf"))
        found = probes.failures(probes.probe(Path(root) if root else None, compiled))
    except share.ShareMissing as error:
        return str(error)
    except OSError as error:
        return f"this machine cannot be examined ({error}); nodemesh doctor says more"
    return "; ".join(found) or None


def refused_by_kernel(options: RunOptions) -> str | None:
    """One sentence on why the programs cannot be loaded here, found out by loading them apart from an agent's; None
    where they can."""
    pins = Pins(Path(options.bpffs).with_name(f"nodemesh-trial-{os.getpid()}"), LAYOUT)
    try:
        load(share.folder("bpf"), pins)
    except (LoadError, share.ShareMissing) as error:
        return f"eBPF cannot be loaded: {error}"
    finally:
        uninstall(pins)
    return None


def check_log(path: str) -> None:
    """Whether the access log can be written, which the workers do later on. Raises StartError."""
    try:
        opened = open_log(path)
    except OSError as error:
        raise StartError(
            f"--access-log {path} cannot be written ({error.strerror}); name a file in a folder that is there, or -"
        ) from None
    if opened > 2:
        os.close(opened)


def resolve(options: RunOptions) -> RunOptions:
    """The options with everything decided that depends on the machine. Raises StartError."""
    for path in options.config:
        if not Path(path).exists():
            raise StartError(f"--config {path}: there is no such file or folder")
        if not os.access(path, os.R_OK):
            raise StartError(f"--config {path} cannot be read by this user; mend its permissions")
    if options.access_log:
        check_log(options.access_log)
    changes: dict[str, object] = {"workers": options.workers or len(os.sched_getaffinity(0))}
    if options.relay and not URL.fullmatch(options.relay):
        raise StartError(f"--relay {options.relay!r} is not the URL of a relay; write it as https://HOST:6444")
    if options.kubernetes:
        changes["kubeconfig"] = kubeconfig_of(options.kubeconfig, dict(os.environ))
        if options.gateway and not options.client:
            changes["client"] = own_namespace()  # a gateway's labels may be on anybody's pods
    if options.ebpf is not Ebpf.OFF:
        missing = missing_for_ebpf(options)
        if missing is not None and options.ebpf is Ebpf.REQUIRE:
            raise StartError(missing)
        if missing is not None and not options.listens:
            raise StartError(f"there is nothing to do: neither --expose nor --gateway-listen is given, and {missing}")
        if missing is None and options.ebpf is Ebpf.AUTO and options.listens:
            missing = refused_by_kernel(options)
        if missing is not None:
            log.warning("running without eBPF, only --expose and gateway listeners serve", why=missing)
        changes["ebpf"] = Ebpf.OFF if missing is not None else Ebpf.REQUIRE
    elif not options.listens:
        raise StartError(
            "there is nothing to do: with --ebpf off give at least one --expose HOST:PORT=ADDR, or --gateway-listen"
        )
    if not options.node:
        changes["node"] = os.uname().nodename
    return msgspec.structs.replace(options, **changes)
