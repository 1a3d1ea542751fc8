"""A gateway's door for requests: what the edge changes becomes a request's edits for the upstream."""

from __future__ import annotations

from ...routing.edge import Edge
from ..addresses import host_of
from .head import RequestHead
from .security import Security


def admit(edge: Edge, head: RequestHead, remote: str, security: Security | None) -> None:
    """Change what is said of a request; `remote` is the peer's `address:port`."""
    peer = host_of(remote).encode()
    certificate = security.certificate if security is not None else b""
    address, changes = edge.admit(head, peer, certificate)
    head.controlled = False
    if address != peer:
        text = address.decode("latin-1")
        head.client = f"[{text}]:0" if ":" in text else f"{text}:0"
    for name, value in changes.items():
        head.edits[name] = name + b": " + value if value else b""
