"""The listeners that the user asked for: bound once, and handed on from agent to agent."""

from __future__ import annotations

import errno
import os
import socket

from ..datapath.namespaces import netns_cookie
from .logs import Log
from .options import ListenAddress, RunOptions, StartError
from .store import FdStore

log = Log("supervisor")

BACKLOG = 1024


def bind(address: ListenAddress, option: str) -> socket.socket:
    """A listening TCP socket. Raises StartError."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise StartError(
                f"{address} is in use already; stop who listens there (ss -ltnp) or choose another with {option}"
            ) from None
        raise StartError(
            f"cannot listen at {address} ({error.strerror}); give {option} an address of this machine"
        ) from None


def kept_here(store: FdStore, name: str) -> bool:
    """Whether the store has a listener of use here: a predecessor in another container had its own network."""
    if name not in store:
        return False
    with socket.socket() as own, socket.socket(fileno=os.dup(store.fd(name))) as kept:
        try:
            return netns_cookie(own) == netns_cookie(kept)
        except OSError:  # a kernel before 5.14, without eBPF: nobody takes over from another container
            return True


def bind_all(options: RunOptions, store: FdStore) -> None:
    """The listeners that the user asked for, into the store where they are not in it yet. Raises StartError."""
    if not kept_here(store, "admin"):
        store.put("admin", bind(options.admin, "--admin").detach())
    for expose in options.expose:
        if kept_here(store, expose.name):
            continue
        sock = bind(expose.listen, "--expose")
        host, port = sock.getsockname()[:2]
        log.info("listening", dialled=f"{expose.host}:{expose.port}", at=ListenAddress(host, port))
        store.put(expose.name, sock.detach())
    for wanted in options.gateway_listen:
        if not kept_here(store, wanted.name):
            sock = bind(wanted.listen, "--gateway-listen")
            host, port = sock.getsockname()[:2]
            log.info("listening as gateway", port=wanted.port, at=ListenAddress(host, port))
            store.put(wanted.name, sock.detach())
