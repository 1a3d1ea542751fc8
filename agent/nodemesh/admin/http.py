"""The admin API's routes over aiohttp; the answers' shapes stand in the package's docstring."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import socket
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import msgspec
from aiohttp import web

from .. import __version__
from ..registry.carry import encode_snapshot
from ..routing.question import QuestionError
from ..telemetry.exposition import CONTENT_TYPE, packer
from . import graph, openapi, page, pages, sight
from .chosen import RECENT, shown, wish_of, without_query
from .door import AdminDoor, Handler
from .mesh import WholeMesh, wanted
from .operations import OPERATIONS
from .state import AdminNode, ExplainQuery, Unheard

#: Seconds between two frames of the live picture, and how many watch it.
FRAME = 1.0
STREAMS = 16

#: Seconds that one of them may take for a frame: who reads no more makes room for others.
PATIENCE = 10.0

#: What every client may read, wherever it is.
FOR_ANYONE = frozenset(each.path for each in OPERATIONS if each.anyone)

#: What says in every answer that it is an agent's, and of which version.
AGENT = "Nodemesh-Version"

#: What says in answers for all nodes of which nothing was heard, and why; and its longest value.
SILENT = "Nodemesh-Silent"
TOLD = 2000

#: The nice value of what can wait.
NICE = 10


def json_response(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")


@web.middleware
async def errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error is `{"error": sentence}`."""
    try:
        return await handler(request)
    except QuestionError as error:
        return json_response({"error": str(error)}, 400)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return json_response({"error": f"{request.method} {request.path}: {error.reason}"}, error.status)


async def signed(_request: web.Request, answer: web.StreamResponse) -> None:
    """An answer says whose it is, so that a command that was sent elsewhere can tell."""
    answer.headers[AGENT] = __version__


class AdminApi:
    """The handlers, over the running node."""

    def __init__(self, node: AdminNode) -> None:
        self._node = node
        self._mesh = WholeMesh(node)
        self._streams = 0
        self._packing = ThreadPoolExecutor(1, "packing", _give_way)

    def application(self, *around: Any) -> web.Application:
        """A fresh aiohttp application with all routes."""
        middlewares = [*around, errors_as_json, self.known_host, self.known_client]
        application = web.Application(middlewares=middlewares, client_max_size=64 * 1024)
        application.on_response_prepare.append(signed)
        application.add_routes([web.get(each.path, getattr(self, each.handler)) for each in OPERATIONS])
        return application

    async def page(self, request: web.Request) -> web.Response:
        found = page.asset(request.match_info.get("name", "index.html"))
        if found is None:
            return json_response({"error": page.MISSING if request.path == "/" else "there is no such file"}, 404)
        headers = {
            "Content-Security-Policy": page.POLICY,
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        }
        body = found.plain
        if takes_gzip(request.headers.get("Accept-Encoding", "")):
            body, headers["Content-Encoding"] = found.zipped, "gzip"
        return web.Response(body=body, content_type=found.content_type, charset="utf-8", headers=headers)

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

    @web.middleware
    async def known_client(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Where the API listens beyond loopback, probes and Prometheus come that way, and pods can. The rest is for
        loopback, where a port-forward ends as well, and for networks that the operator lists."""
        if request.path in FOR_ANYONE or is_near(request.remote, self._node.snapshot.mesh.admin_clients):
            return await handler(request)
        message = (
            f"{request.path} is not for {request.remote}: come by `nodemesh … --kubernetes`, by a port-forward or "
            "loopback, or list the network in MeshConfig's adminClients"
        )
        return json_response({"error": message}, 403)

    async def snapshot(self, _request: web.Request) -> web.Response:
        """All that the configuration says, for `nodemesh diff`; Secrets are no part of it."""
        body = await asyncio.to_thread(encode_snapshot, self._node.snapshot)
        return web.Response(body=body, content_type="application/msgpack")

    async def openapi(self, _request: web.Request) -> web.Response:
        return json_response(openapi.document())

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
            return web.Response(body=await self._zipped(pieces), headers=headers)
        answer = web.StreamResponse(headers=headers)
        await answer.prepare(request)
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            await answer.write(piece)
        return answer

    async def _zipped(self, pieces: Iterator[bytes]) -> bytes:
        """Packing is most of the work, and holds no lock of the interpreter's: it gives way to the data path."""
        pack, found, loop = packer(), [], asyncio.get_running_loop()
        while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
            found.append(await loop.run_in_executor(self._packing, pack.compress, piece))
        return b"".join((*found, pack.flush()))

    async def status(self, _request: web.Request) -> web.Response:
        return json_response(self._node.status())

    async def services(self, _request: web.Request) -> web.Response:
        return json_response(pages.services(self._node.snapshot, self._node.mode))

    async def endpoints(self, request: web.Request) -> web.Response:
        if client := request.query.get("as", ""):
            return json_response(sight.endpoints(self._node.view(client), self._node.endpoint_states()))
        return json_response(pages.endpoints(self._node.snapshot, self._node.endpoint_states()))

    async def clusters(self, request: web.Request) -> web.Response:
        return json_response(sight.clusters(self._node.view(request.query.get("as", "default"))))

    async def listeners(self, request: web.Request) -> web.Response:
        return json_response(sight.listeners(self._node.view(request.query.get("as", "default"))))

    async def routes(self, request: web.Request) -> web.Response:
        if client := request.query.get("as", ""):
            return json_response(sight.routes(self._node.view(client), self._node.snapshot))
        return json_response(pages.routes(self._node.snapshot))

    async def pods(self, request: web.Request) -> web.Response:
        rows, silent = await self._mesh.pods(is_everywhere(request))
        return with_silent(json_response(rows), silent)

    async def agents(self, _request: web.Request) -> web.Response:
        return json_response(await self._mesh.agents())

    async def problems(self, _request: web.Request) -> web.Response:
        return json_response(pages.problems(self._node.problems()))

    async def connections(self, _request: web.Request) -> web.Response:
        is_open, counted = await asyncio.gather(self._node.connections(), self._node.telemetry())
        recent = [shown(decision) for decision in list(counted.recent)[: -RECENT - 1 : -1]]
        is_open = [{**row, "request": without_query(row["request"])} if "request" in row else row for row in is_open]
        return json_response({"open": is_open, "recent": recent})

    async def graph(self, request: web.Request) -> web.Response:
        if "window" in request.query:
            return json_response(await self._mesh.picture(wanted(request.query)))
        if is_everywhere(request):
            raise QuestionError("all nodes are asked for some seconds: give window, too, as in ?mesh=1&window=60")
        return json_response(graph.build(await self._node.telemetry()))

    async def live(self, request: web.Request) -> web.StreamResponse:
        """The picture each second, as events (text/event-stream)."""
        asked = wanted(request.query)
        if self._streams >= STREAMS:
            return json_response({"error": f"{STREAMS} pages are open already; close one"}, 503)
        self._streams += 1
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        try:
            await answer.prepare(request)
            while request.transport is not None and not request.transport.is_closing():
                body = msgspec.json.encode(await self._mesh.picture(asked))
                async with asyncio.timeout(PATIENCE):
                    await answer.write(b"data: " + body + b"\n\n")
                await asyncio.sleep(FRAME)
        except (ConnectionError, TimeoutError):
            if request.transport is not None:
                request.transport.abort()
        finally:
            self._streams -= 1
        return answer

    async def decisions(self, request: web.Request) -> web.Response:
        """The last requests that fit, newest first."""
        query = [(name, value) for name, value in request.query.items() if name != "mesh"]
        rows, silent = await self._mesh.decisions(wish_of(request.query), query, is_everywhere(request))
        return with_silent(json_response(rows), silent)

    async def changes(self, _request: web.Request) -> web.Response:
        return json_response(self._node.changes()[::-1])

    async def rollback(self, request: web.Request) -> web.Response:
        version, name = request.query.get("version", ""), request.query.get("object", "")
        if bool(version) == bool(name) or (version and not re.fullmatch("[0-9]{1,9}", version)):
            raise QuestionError("say either ?version=NUMBER or ?object=KIND/NAMESPACE/NAME")
        return json_response(self._node.rollback(int(version or 0), name))

    async def shadow(self, request: web.Request) -> web.Response:
        return json_response(await self._node.shadow(explained=bool(request.query.get("explain"))))

    async def explain(self, request: web.Request) -> web.Response:
        return json_response(self._node.explain(question(request)))


def _give_way() -> None:
    """Have this thread run when no other wants to (sched(7): on Linux each thread has its own nice value)."""
    thread = threading.get_native_id()
    os.setpriority(os.PRIO_PROCESS, thread, max(NICE, os.getpriority(os.PRIO_PROCESS, thread)))


def is_everywhere(request: web.Request) -> bool:
    return bool(request.query.get("mesh"))


def with_silent(answer: web.Response, silent: Iterable[Unheard]) -> web.Response:
    """An answer whose body has no place for those who were not heard."""
    if told := "; ".join(f"{each.node}: {each.why}" for each in silent):
        answer.headers[SILENT] = "".join(each if each.isprintable() else "?" for each in told[:TOLD])
    return answer


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


def is_near(client: str | None, listed: tuple[str, ...]) -> bool:
    """Whether a connection comes from this machine's loopback, or from a network that the operator lists."""
    try:
        address = mapped(ip_address((client or "").partition("%")[0]))
    except ValueError:
        return False
    return address.is_loopback or any(address in ip_network(each, strict=False) for each in listed)


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


def question(request: web.Request) -> ExplainQuery:
    """The query of /explain. Raises QuestionError."""
    query = request.query
    if not query.get("url"):
        raise QuestionError("/explain needs a url, for instance ?url=http://reviews:9080/")
    gateway = [part for part in query.get("gateway", "").split(",") if part]
    return ExplainQuery(
        method=query.get("method", "GET"),
        url=query["url"],
        headers=_pairs(query.getall("header", []), ":", "header"),
        client=query.get("as", ""),
        gateway=_pairs(gateway, "=", "label"),
        sni=query.get("sni", ""),
    )


class RunningApi:
    """The running API."""

    def __init__(self, runner: web.AppRunner, entrance: asyncio.Task[None]) -> None:
        self._runner = runner
        self._entrance = entrance

    async def cleanup(self) -> None:
        """End it, with its listening socket."""
        self._entrance.cancel()
        await asyncio.wait([self._entrance])
        await self._runner.cleanup()


async def serve(node: AdminNode, listener: socket.socket) -> RunningApi:
    """Serve the API on a listening socket until `cleanup()`."""
    door = AdminDoor()
    application = AdminApi(node).application(door.asking)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    assert runner.server is not None
    return RunningApi(runner, asyncio.create_task(door.run(listener, runner.server), name="admin"))
