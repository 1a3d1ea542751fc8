"""What the agents of other nodes may ask this one, once they have shown that they are agents."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from ..registry.sources.api import ApiError
from ..registry.sources.reviews import Busy
from ..routing.question import QuestionError
from .chosen import chosen, wish_of
from .mesh import WholeMesh, wanted
from .state import AdminNode

#: Whether a token that an address sends is an agent's. Raises ApiError and Busy.
Admit = Callable[[str, str], Awaitable[bool]]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(node: AdminNode, admit: Admit) -> web.Application:
    """Reads alone, for agents alone."""

    @web.middleware
    async def agents_alone(request: web.Request, handler: Handler) -> web.StreamResponse:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        try:
            known = await admit(token.strip() if scheme.lower() == "bearer" else "", request.remote or "")
            if not known:
                return _answer({"error": "this is for the agents of other nodes"}, 403)
            return await handler(request)
        except Busy as busy:
            return _answer({"error": str(busy)}, 429)
        except (ApiError, msgspec.DecodeError) as error:
            return _answer({"error": f"the API server reviews no token: {error}"}, 503)
        except QuestionError as error:
            return _answer({"error": str(error)}, 400)

    mesh = WholeMesh(node)

    async def flows(request: web.Request) -> web.Response:
        return _answer(await mesh.counted(wanted(request.query)))

    async def decisions(request: web.Request) -> web.Response:
        return _answer(chosen(await node.telemetry(), wish_of(request.query)))

    async def pods(_request: web.Request) -> web.Response:
        return _answer(list(node.pods()))

    async def agent(_request: web.Request) -> web.Response:
        return _answer(node.agent())

    app = web.Application(middlewares=[agents_alone], client_max_size=1024)
    for handler in (flows, decisions, pods, agent):
        app.router.add_get(f"/{handler.__name__}", handler)
    return app


def _answer(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=status, content_type="application/json")
