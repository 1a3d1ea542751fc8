"""The hooks: which program goes where in the kernel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

# enum bpf_prog_type
_CGROUP_SOCK = 9
_SOCK_OPS = 13
_SK_MSG = 16
_RAW_TRACEPOINT = 17
_CGROUP_SOCK_ADDR = 18
_SK_LOOKUP = 30


class HookProgram(NamedTuple):
    """`name` is the file's in bpf/ and the pin's; `since` the first Linux that has the hook. Of those that rewrite an
    address there is one at a time: a second one would find what the first has made of it."""

    name: str
    function: str
    program_type: int
    attach_type: int
    since: str
    rewrites: bool = False


#: In attach order: connects are taken over last, when all that they rely on is in place. Detached from the end.
HOOKS = (
    HookProgram("sockops", "nodemesh_sockops", _SOCK_OPS, 3, "4.18"),
    HookProgram("sock_release", "nodemesh_sock_release", _CGROUP_SOCK, 34, "5.9"),
    HookProgram("getpeername4", "nodemesh_getpeername4", _CGROUP_SOCK_ADDR, 29, "5.8"),
    HookProgram("getpeername6", "nodemesh_getpeername6", _CGROUP_SOCK_ADDR, 30, "5.8"),
    HookProgram("getsockname4", "nodemesh_getsockname4", _CGROUP_SOCK_ADDR, 31, "5.8"),
    HookProgram("getsockname6", "nodemesh_getsockname6", _CGROUP_SOCK_ADDR, 32, "5.8"),
    HookProgram("connect4", "nodemesh_connect4", _CGROUP_SOCK_ADDR, 10, "5.8", rewrites=True),
    HookProgram("connect6", "nodemesh_connect6", _CGROUP_SOCK_ADDR, 11, "5.8", rewrites=True),
)

#: For pods whose DNS queries are to be answered by the mesh; the others are spared a program per UDP message.
DNS_HOOKS = (
    HookProgram("recvmsg4", "nodemesh_recvmsg4", _CGROUP_SOCK_ADDR, 19, "5.2"),
    HookProgram("recvmsg6", "nodemesh_recvmsg6", _CGROUP_SOCK_ADDR, 20, "5.2"),
    HookProgram("sendmsg4", "nodemesh_sendmsg4", _CGROUP_SOCK_ADDR, 14, "4.18", rewrites=True),
    HookProgram("sendmsg6", "nodemesh_sendmsg6", _CGROUP_SOCK_ADDR, 15, "4.18", rewrites=True),
)

#: For pods whose bytes may reach the proxy without TCP.
SOCKMAP_HOOKS = (HookProgram("sockops_sockmap", "nodemesh_sockops_sockmap", _SOCK_OPS, 3, "4.18"),)

#: At a pod's network namespace, each pod's with a copy of its own.
SK_LOOKUP = HookProgram("sk_lookup", "nodemesh_sk_lookup", _SK_LOOKUP, 36, "5.9")

#: Not at a cgroup: what the sockets of map `sockets` send passes the first, the second is run by the proxy.
SK_MSG = HookProgram("sk_msg", "nodemesh_sk_msg", _SK_MSG, 7, "5.15")
QUEUE_DEPTH = HookProgram("queue_depth", "nodemesh_queue_depth", _RAW_TRACEPOINT, 0, "5.10")

#: All that is loaded where sockmap is asked for, and only there.
SOCKMAP_PROGRAMS = (*SOCKMAP_HOOKS, SK_MSG, QUEUE_DEPTH)

#: All that is loaded at a start.
BASE = (*HOOKS, *DNS_HOOKS, SK_LOOKUP)


def by_names(names: Iterable[str]) -> list[HookProgram]:
    """Raises KeyError."""
    every = {hook.name: hook for hook in (*BASE, *SOCKMAP_PROGRAMS)}
    return [every[name] for name in names]
