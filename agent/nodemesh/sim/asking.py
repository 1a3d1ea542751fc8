"""A request as the simulator's user writes it: `GET http://reviews:9080/path`."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

import msgspec

from ..routing.question import QuestionError, question_of
from .places import MeshError


class RequestSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What is dialled (`host`, `port`, with TLS where the scheme says so) and what is asked for there."""

    text: str
    method: bytes
    scheme: str
    host: str
    port: int
    target: bytes
    authority: bytes
    sni: str

    @property
    def wire_scheme(self) -> bytes:
        return b"https" if self.scheme == "https" else b"http"


@lru_cache(4096)
def asked_of(text: str, sni: str) -> RequestSpec:
    """Raises MeshError. Without a method it is GET."""
    method, blank, url = text.strip().partition(" ")
    if not blank:
        method, url = "GET", method
    url = url if "://" in url else f"http://{url}"
    try:
        question = question_of(method, url, (), sni)
    except QuestionError as error:
        raise MeshError(str(error)) from None
    if question.scheme == "udp":
        raise MeshError(f"{url}: datagrams are not simulated; `nodemesh explain` says where they go")
    parts = urlsplit(url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return RequestSpec(
        text=text,
        method=method.encode(),
        scheme=question.scheme,
        host=question.host,
        port=question.port,
        target=target.encode(),
        authority=question.request.authority,
        sni=sni or question.host,
    )
