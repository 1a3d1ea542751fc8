"""The agents of the other nodes: where they are, and what they say when they are asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..admin.state import Heard, Unheard
from ..registry.snapshot import Endpoint, Snapshot

if TYPE_CHECKING:
    import aiohttp

#: The headless Service that the agents stand behind (manifests/agent/service.yaml).
SERVICE = "nodemesh-agents"

#: Seconds that an answer may take, how many are under way at a time, and how many agents are asked at most.
PATIENCE = 1.0
AT_ONCE = 64
MOST = 512

#: Bytes of an answer.
LONGEST = 4 * 2**20

#: Different questions that are under way, or whose answers hold.
QUESTIONS = 64

#: Seconds for which an answer holds: several pages are as cheap as one.
FRESH = 0.9

Question = tuple[str, tuple[tuple[str, str], ...]]


class OtherAgent(NamedTuple):
    node: str
    address: str
    port: int

    @property
    def url(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"https://{host}:{self.port}"


class Peers:
    """`namespace` is the agents' own; `token` the file with what shows that we are one."""

    def __init__(self, snapshot: Callable[[], Snapshot], node: str, namespace: str, token: str) -> None:
        self._snapshot = snapshot
        self._node = node
        self._namespace = namespace
        self._token = Path(token)
        self._free = asyncio.Semaphore(AT_ONCE)
        self._kept: dict[Question, tuple[float, asyncio.Task[Heard]]] = {}
        self._session: aiohttp.ClientSession | None = None

    def __iter__(self) -> Iterator[OtherAgent]:
        """All agents of this cluster by their EndpointSlices, our own among them."""
        for service in self._snapshot().services.get(f"{SERVICE}.{self._namespace}.svc.cluster.local", ()):
            if (service.kind, service.namespace) == ("Service", self._namespace):
                for port in sorted(service.endpoints)[:1]:
                    for endpoint in service.endpoints[port]:
                        if self._is_own_clusters(endpoint):
                            yield OtherAgent(endpoint.node or endpoint.address, endpoint.address, endpoint.port)

    def _is_own_clusters(self, endpoint: Endpoint) -> bool:
        return endpoint.cluster in ("", self._snapshot().cluster)

    def knows(self, address: str) -> bool:
        """Whether an agent has this address."""
        return any(peer.address == address for peer in self)

    async def ask(self, path: str, query: Sequence[tuple[str, str]] = ()) -> Heard:
        """What the agents of other nodes answer now."""
        question, now = (path, tuple(query)), time.monotonic()
        for known in [known for known, (until, task) in self._kept.items() if until < now and task.done()]:
            del self._kept[known]
        if question not in self._kept and len(self._kept) >= QUESTIONS:
            busy = f"{QUESTIONS} other questions are under way; ask again in a moment"
            return Heard((), tuple(Unheard(node=peer.node, why=busy) for peer in self if peer.node != self._node))
        until, task = self._kept.get(question, (0.0, None))
        if task is None or (until < now and task.done()):
            task = asyncio.ensure_future(self._ask(path, query))
            self._kept[question] = now + FRESH, task
        return await asyncio.shield(task)

    async def close(self) -> None:
        for _, task in self._kept.values():
            task.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _ask(self, path: str, query: Sequence[tuple[str, str]]) -> Heard:
        others = [peer for peer in self if peer.node != self._node]
        told = await asyncio.gather(*(self._one(peer, path, query) for peer in others[:MOST]))
        silent = [each for each in told if isinstance(each, Unheard)]
        silent += [Unheard(node=peer.node, why=f"{MOST} others were asked") for peer in others[MOST:]]
        return Heard(tuple(each for each in told if not isinstance(each, Unheard)), tuple(silent))

    async def _one(self, peer: OtherAgent, path: str, query: Sequence[tuple[str, str]]) -> tuple[str, bytes] | Unheard:
        import aiohttp  # who has no peers loads nothing

        try:
            token = self._token.read_text().strip()
        except OSError as error:
            return Unheard(node=peer.node, why=f"this agent has nothing to show: {self._token}: {error.strerror}")
        if self._session is None:
            from .own_certificate import client_context  # loads cryptography's 7 MB

            connector = aiohttp.TCPConnector(ssl=client_context(), limit=0)
            self._session = aiohttp.ClientSession(connector=connector, trust_env=False)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._free, asyncio.timeout(PATIENCE):
                url = f"{peer.url}{path}"
                async with self._session.get(url, params=list(query), headers=headers, allow_redirects=False) as answer:
                    body = await _all_of(answer)
                    if answer.status != 200:
                        return Unheard(
                            node=peer.node, why=f"it answers {answer.status}: {body[:200].decode(errors='replace')}"
                        )
                    return peer.node, body
        except TimeoutError:
            return Unheard(node=peer.node, why=f"no answer within {PATIENCE:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Unheard(node=peer.node, why=f"{peer.address}: {error or type(error).__name__}")
        except ValueError:
            return Unheard(node=peer.node, why=f"its answer is longer than {LONGEST} bytes")


async def _all_of(answer: aiohttp.ClientResponse) -> bytes:
    """Raises ValueError where it is too long."""
    parts, size = [], 0
    async for piece in answer.content.iter_any():
        parts.append(piece)
        size += len(piece)
        if size > LONGEST:
            raise ValueError
    return b"".join(parts)
