"""A mesh in one process, in memory, under a virtual clock: the very proxy that workers run, without a socket.

The world of our own tests, where each byte is played by hand: `pipe` holds the two ends of a connection (the proxy's
transport, the other side's peer), `network` connects them and knows the listening servers, `world` puts a proxy with
its tables on top and lets time pass.

The users' mesh, on top of that: `mesh` is made of their YAML (`invented` adds pods where there are none) and asked by
`asking`'s requests; `dialling` and `caller` are its clients; `places`, `upstream`, `deeds` and `serving` are the fake
upstreams; `http1`, `http2` and `tls` are what both speak; `answer` says what became of a request. `plugin` brings it to
pytest, and `suite`, `expecting` and `running` are tests written in YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .mesh import Mesh

__all__ = ["Mesh"]


def __getattr__(name: str) -> object:
    """`from nodemesh.sim import Mesh`, without its cost for who wants only a part."""
    if name == "Mesh":
        from .mesh import Mesh

        return Mesh
    raise AttributeError(name)
