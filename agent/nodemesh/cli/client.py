"""The admin API's client of the command line."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from typing import Any

import msgspec

from .output import DEFAULT_ADMIN as DEFAULT_ADMIN
from .output import Failure

TIMEOUT = 10.0


def fetch(admin: str, path: str, query: list[tuple[str, str]] | None = None) -> Any:
    """The answer's JSON. Raises Failure."""
    url = f"http://{admin}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy of the environment
    try:
        with opener.open(url, timeout=TIMEOUT) as answer:
            return msgspec.json.decode(answer.read())
    except urllib.error.HTTPError as error:
        raise Failure(_reason(error)) from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise Failure(
            f"no agent answers at {admin} ({why}); start one with `nodemesh run`, or say --admin ADDR"
        ) from None


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read())["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the agent answered {error.code} {error.reason}"
