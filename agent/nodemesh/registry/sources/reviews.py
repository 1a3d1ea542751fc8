"""Who asks: bearer tokens reviewed by the API server (authentication/v1 TokenReview), and remembered for a while."""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from .api import Api

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"

#: Seconds that a good and a bad review hold, and how many of each are remembered: bad ones push no good one out.
GOOD, BAD = 60.0, 10.0
REMEMBERED = 20_000

#: Reviews under way at a time for one address, and seconds that its place is taken by a bad one: the API server is not
#: asked as often as anybody likes to make tokens up. Agents ask once a minute.
AT_ONCE = 2
PAUSE = 1.0

#: Requests that wait for their address's turn. More are refused.
WAITING = 32

#: The longest token that is reviewed, in bytes.
LONGEST = 16 * 1024

#: Where a bound token's review names the node of the pod that has it (KEP-4193).
NODE = "authentication.kubernetes.io/node-name"


class Busy(Exception):
    """Too many requests of one address wait for reviews."""


class _Turns:
    """Those of one address."""

    __slots__ = ("asked", "free")

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(AT_ONCE)
        self.asked = 0  # requests that wait, or are under way


class UserInfo(NamedTuple):
    """Whose a token is: a user name, empty where it is nobody's, and the node that its pod is on where that is told."""

    user: str
    node: str = ""


class _User(msgspec.Struct, frozen=True):
    username: str = ""
    extra: dict[str, list[str]] | None = None


class _Status(msgspec.Struct, frozen=True):
    authenticated: bool = False
    user: _User = _User()
    audiences: list[str] | None = None


class _Review(msgspec.Struct, frozen=True):
    status: _Status = _Status()


class Reviews:
    """`audience` is what tokens must be for; empty: the API server."""

    def __init__(self, api: Api, audience: str, now: Callable[[], float]) -> None:
        self._api = api
        self._audience = audience
        self._now = now
        self._good: OrderedDict[bytes, tuple[float, UserInfo]] = OrderedDict()
        self._bad: OrderedDict[bytes, tuple[float, UserInfo]] = OrderedDict()
        self._turns: dict[str, _Turns] = {}

    async def account(self, token: str, address: str = "") -> UserInfo:
        """Whose the token is that an address sends. Raises ApiError where the API server cannot be asked, and Busy."""
        if not token or len(token) > LONGEST:
            return UserInfo("")
        key = hashlib.sha256(token.encode()).digest()
        known = self._known(key)
        if known is not None:
            return known
        turns = self._turns.setdefault(address, _Turns())
        if turns.asked >= WAITING:
            raise Busy(f"too many requests of {address} wait for the review of their tokens")
        turns.asked += 1
        try:
            async with turns.free:
                known = self._known(key)  # another request's review, meanwhile
                found = known or await self._review(key, token)
                if not found.user:
                    await asyncio.sleep(PAUSE)
                return found
        finally:
            turns.asked -= 1
            if not turns.asked:
                self._turns.pop(address, None)

    def _known(self, key: bytes) -> UserInfo | None:
        until, account = self._good.get(key) or self._bad.get(key) or (0.0, None)
        return account if self._now() < until else None

    async def _review(self, key: bytes, token: str) -> UserInfo:
        spec = {"token": token, **({"audiences": [self._audience]} if self._audience else {})}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        answer = await self._api.send("POST", PATH, msgspec.Raw(msgspec.json.encode(body)))
        status = msgspec.json.decode(answer, type=_Review).status
        good = status.authenticated and (not self._audience or self._audience in (status.audiences or ()))
        nodes = (status.user.extra or {}).get(NODE) or [""]
        found = UserInfo(status.user.username, nodes[0]) if good else UserInfo("")
        kept, other = (self._good, self._bad) if good else (self._bad, self._good)
        other.pop(key, None)
        kept[key] = self._now() + (GOOD if good else BAD), found
        kept.move_to_end(key)
        while len(kept) > REMEMBERED:
            kept.popitem(last=False)
        return found
