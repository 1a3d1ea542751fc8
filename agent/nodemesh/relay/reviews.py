"""Who asks: bearer tokens reviewed by the API server (authentication/v1 TokenReview), and remembered for a while."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from ..registry.sources.api import Api

PATH = "/apis/authentication.k8s.io/v1/tokenreviews"

#: Seconds that a good and a bad review hold, and how many are remembered.
GOOD, BAD = 60.0, 10.0
REMEMBERED = 20_000

#: The longest token that is reviewed, in bytes.
LONGEST = 16 * 1024

#: Where a bound token's review names the node of the pod that has it (KEP-4193).
NODE = "authentication.kubernetes.io/node-name"


class Account(NamedTuple):
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
        self._known: OrderedDict[bytes, tuple[float, Account]] = OrderedDict()

    async def account(self, token: str) -> Account:
        """Raises ApiError where the API server cannot be asked."""
        if not token or len(token) > LONGEST:
            return Account("")
        key = hashlib.sha256(token.encode()).digest()
        known = self._known.get(key)
        if known is not None and self._now() < known[0]:
            return known[1]
        spec = {"token": token, **({"audiences": [self._audience]} if self._audience else {})}
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
        answer = await self._api.send("POST", PATH, msgspec.Raw(msgspec.json.encode(body)))
        status = msgspec.json.decode(answer, type=_Review).status
        good = status.authenticated and (not self._audience or self._audience in (status.audiences or ()))
        nodes = (status.user.extra or {}).get(NODE) or [""]
        found = Account(status.user.username, nodes[0]) if good else Account("")
        self._known[key] = self._now() + (GOOD if good else BAD), found
        self._known.move_to_end(key)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found
