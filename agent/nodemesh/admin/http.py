"""The admin API's routes over aiohttp; the answers' shapes stand in the package's docstring."""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import msgspec
from aiohttp import web

from .. import __version__
from ..telemetry.exposition import CONTENT_TYPE, zipped
from . import graph, pages
from .state import Explanation, Node, QuestionError

#: How many of the last requests /connections shows.
RECENT = 256

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def json_response(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is `{"error": sentence}`."""
    try:
        return await handler(request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return json_response({"error": f"{request.method} {request.path}: {error.reason}"}, error.status)


class Api:
    """The handlers, over the running node."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def application(self) -> web.Application:
        """A fresh aiohttp application with all routes."""
        application = web.Application(middlewares=[errors_as_json, self.known_host], client_max_size=64 * 1024)
        application.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/version", self.version),
                web.get("/metrics", self.metrics),
                web.get("/status", self.status),
                web.get("/services", self.services),
                web.get("/endpoints", self.endpoints),
                web.get("/routes", self.routes),
                web.get("/pods", self.pods),
                web.get("/connections", self.connections),
                web.get("/graph", self.graph),
                web.get("/explain", self.explain),
                web.get("/config/problems", self.problems),
            ]
        )
        return application

    @web.middleware
    async def known_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer only who has asked for this very API: a page in somebody's browser whose name was made to point here
        (DNS rebinding) has not."""
        host = host_of(request.headers.get("Host", ""))
        if not is_own(host, request.transport, self._node.snapshot.mesh.admin_hosts):
            message = (
                f"the host {host} is not this API's; ask by its address, or list the host in MeshConfig's adminHosts"
            )
            return json_response({"error": message}, 403)
        return await handler(request)

    async def healthz(self, _request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        missing = self._node.missing()
        return json_response({"ready": not missing, "missing": missing}, 503 if missing else 200)

    async def version(self, _request: web.Request) -> web.Response:
        return json_response(
            {"version": __version__, "python": platform.python_version(), "kernel": platform.release()}
        )

    async def metrics(self, request: web.Request) -> web.StreamResponse:
        pieces = await self._node.metrics()
        headers = {"Content-Type": CONTENT_TYPE, "Vary": "Accept-Encoding"}
        if takes_gzip(request.headers.get("Accept-Encoding", "")):
            headers["Content-Encoding"] = "gzip"
            return web.Response(body=await asyncio.to_thread(b"".join, zipped(pieces)), headers=headers)
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            await answer.write(piece)
        return answer

    async def status(self, _request: web.Request) -> web.Response:
        return json_response(self._node.status())

    async def services(self, _request: web.Request) -> web.Response:
        return json_response(pages.services(self._node.snapshot, self._node.mode))

    async def endpoints(self, _request: web.Request) -> web.Response:
        return json_response(pages.endpoints(self._node.snapshot))

    async def routes(self, _request: web.Request) -> web.Response:
        return json_response(pages.routes(self._node.snapshot))

    async def pods(self, _request: web.Request) -> web.Response:
        return json_response(list(self._node.pods()))

    async def problems(self, _request: web.Request) -> web.Response:
        return json_response(pages.problems(self._node.problems()))

    async def connections(self, _request: web.Request) -> web.Response:
        is_open, counted = await asyncio.gather(self._node.connections(), self._node.telemetry())
        recent = [
            msgspec.structs.replace(decision, path=without_query(decision.path))
            for decision in list(counted.recent)[: -RECENT - 1 : -1]
        ]
        is_open = [{**row, "request": without_query(row["request"])} if "request" in row else row for row in is_open]
        return json_response({"open": is_open, "recent": recent})

    async def graph(self, _request: web.Request) -> web.Response:
        return json_response(graph.build(await self._node.telemetry()))

    async def explain(self, request: web.Request) -> web.Response:
        try:
            return json_response(self._node.explain(question(request)))
        except QuestionError as error:
            return json_response({"error": str(error)}, 400)


def without_query(path: str) -> str:
    """What comes after `?` is often secret (tokens, signed links): it is not shown."""
    path, found, _ = path.partition("?")
    return f"{path}?…" if found else path


def host_of(value: str) -> str:
    """The host of a Host field, without port and brackets."""
    if value.startswith("["):
        return value[1:].partition("]")[0].lower()
    return value.rpartition(":")[0].lower() if value.count(":") == 1 else value.lower()


def is_own(host: str, transport: asyncio.BaseTransport | None, listed: tuple[str, ...]) -> bool:
    """Whether a request for this host is for the API: by a loopback name or address, by the address that the connection
    has come to, or by what the operator lists. Without a host (HTTP/1.0) it is no browser's."""
    host = host.rstrip(".")
    if host in ("", "localhost", *(name.lower() for name in listed)):
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    came_to = transport.get_extra_info("sockname") if transport is not None else None
    return address.is_loopback or (came_to is not None and address == mapped(ip_address(came_to[0].partition("%")[0])))


def mapped(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """IPv4 for the IPv6 form in which a socket of both families shows it."""
    return (isinstance(address, IPv6Address) and address.ipv4_mapped) or address


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding names gzip, and does not refuse it (RFC 9110 section 12.5.3)."""
    for member in accepted.lower().split(","):
        coding, _, weight = member.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            quality = weight.replace(" ", "").removeprefix("q=")
            return not quality or bool(quality.strip("0."))
    return False


def _pairs(values: list[str], separator: str, what: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for value in values:
        name, found, content = value.partition(separator)
        if not found or not name.strip():
            raise QuestionError(f"{value!r} is no {what}; write it as name{separator}value")
        pairs.append((name.strip(), content.strip()))
    return tuple(pairs)


def question(request: web.Request) -> Explanation:
    """The query of /explain. Raises QuestionError."""
    query = request.query
    if not query.get("url"):
        raise QuestionError("/explain needs a url, for instance ?url=http://reviews:9080/")
    gateway = [part for part in query.get("gateway", "").split(",") if part]
    return Explanation(
        method=query.get("method", "GET"),
        url=query["url"],
        headers=_pairs(query.getall("header", []), ":", "header"),
        client=query.get("as", ""),
        gateway=_pairs(gateway, "=", "label"),
        sni=query.get("sni", ""),
    )


async def serve(node: Node, listener: socket.socket) -> web.AppRunner:
    """Serve the API on a listening socket until the runner's `cleanup()`."""
    runner = web.AppRunner(Api(node).application(), access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.SockSite(runner, listener).start()
    return runner
