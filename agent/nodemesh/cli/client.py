"""The admin API's client of the command line."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .output import DEFAULT_ADMIN, CommandError

if TYPE_CHECKING:
    from ..node.options import ListenAddress

TIMEOUT = 10.0
PORT = 15000

#: Which nodes' agents an answer for all nodes has nothing of.
SILENT = "Nodemesh-Silent"


def address_of(admin: str) -> ListenAddress:
    """Where the API is, written as `nodemesh run --admin` takes it, or as the URL that `nodemesh ui` prints. Raises
    CommandError."""
    from ..node.options import StartError, parse_address

    try:
        return parse_address(admin.removeprefix("http://").rstrip("/"), PORT)
    except StartError:
        raise CommandError(f"--admin {admin!r} is not an address; write it as {DEFAULT_ADMIN}") from None


def fetch(admin: str, path: str, query: list[tuple[str, str]] | None = None) -> Any:
    """The answer's JSON. Raises CommandError."""
    body = fetch_bytes(admin, path, query)
    try:
        return msgspec.json.decode(body)
    except ValueError:
        raise CommandError(_stranger(address_of(admin))) from None


def fetch_bytes(admin: str, path: str, query: list[tuple[str, str]] | None = None) -> bytes:
    """The answer. Raises CommandError."""
    address = address_of(admin)
    url = f"http://{address}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback needs no proxy of the environment
    try:
        with opener.open(url, timeout=TIMEOUT) as answer:
            _expect_agent(answer.headers, address)
            if silent := answer.headers.get(SILENT):
                click.echo(f"not heard: {silent}", err=True)
            body: bytes = answer.read()
            return body
    except urllib.error.HTTPError as error:
        _expect_agent(error.headers, address)
        raise CommandError(_reason(error)) from None
    except http.client.HTTPException:
        raise CommandError(_stranger(address)) from None
    except (urllib.error.URLError, TimeoutError, ConnectionError, ValueError) as error:
        why = getattr(error, "reason", error)
        raise CommandError(
            f"no agent answers at {address} ({why}); start one with `nodemesh run`, or say --admin ADDR"
        ) from None


def _expect_agent(headers: Message, address: ListenAddress) -> None:
    if "nodemesh-version" not in headers:
        raise CommandError(_stranger(address))


def _stranger(address: ListenAddress) -> str:
    return f"what answers at {address} is no nodemesh agent; name the address of one with --admin"


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(msgspec.json.decode(error.read())["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"the agent answered {error.code} {error.reason}"
