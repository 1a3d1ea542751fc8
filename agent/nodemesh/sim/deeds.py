"""What a fake upstream does with a request, and what it has seen of one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum

import msgspec


class Act(StrEnum):
    ANSWER = "answer"
    HANG = "hang"  # take the request and say nothing
    RESET = "reset"  # end the connection with a RST
    CLOSE = "close"  # end it with a FIN


class Deed(msgspec.Struct, frozen=True, kw_only=True):
    """One answer, or what comes in its stead, `after` seconds. For gRPC `grpc_status` goes into trailers."""

    act: Act = Act.ANSWER
    status: int = 200
    headers: Mapping[str, str] = {}
    body: bytes | None = None  # None: the pod's name
    after: float = 0.0
    grpc_status: int = 0
    grpc_message: str = ""


class SeenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request as an upstream saw it, or the first bytes of a connection that is no HTTP (then `method` is empty).
    `at` is the virtual clock's time."""

    pod: str
    port: int
    at: float
    method: str = ""
    path: str = ""
    host: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    protocol: str = "HTTP/1.1"
    tls: bool = False
    announced: str | None = None  # by the PROXY protocol: the client's address, empty where it names none

    @property
    def is_grpc(self) -> bool:
        return self.headers.get("content-type", "").startswith("application/grpc")


#: Decides by what was asked.
Choose = Callable[[SeenRequest], Deed]
HANG = Deed(act=Act.HANG)
ANSWER = Deed()
