"""Plain listeners (`--expose`): the Hosts by which their clients may mean them, and so the destination behind."""

from __future__ import annotations


def entrances(address: str) -> tuple[bytes, ...]:
    """The Hosts by which a client may mean the plain listener that it talks to, hence what stands behind it."""
    host, _, port = address.rpartition(":")
    if not port:
        return ()
    names = [host, "localhost"] if host in ("127.0.0.1", "[::1]") else [host]
    return tuple(
        f"{name}{end}".encode() for name in names for end in ([f":{port}", ""] if port == "80" else [f":{port}"])
    )


def authority_of(host: str, port: int) -> bytes:
    """The Host of a client that dials this itself; HTTP's own port goes without saying."""
    name = f"[{host}]" if ":" in host else host
    return name.encode() if port == 80 else f"{name}:{port}".encode()
