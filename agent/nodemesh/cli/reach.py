"""Which agent a command asks: the one at an address, or one in a cluster, by way of its API server."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
import msgspec

from .output import DEFAULT_ADMIN, Command, CommandError

if TYPE_CHECKING:
    from ..registry.sources.kubernetes import ApiServer

#: How the agents' pods are found, and which of their ports is the API's.
SELECTOR = "app.kubernetes.io/name=nodemesh-agent"
PORT_NAME, PORT = "admin", 15000

#: Seconds for finding an agent.
PATIENCE = 30.0


def agent_options(command: Command, default: str = DEFAULT_ADMIN, meaning: str = "The agent's API.") -> Command:
    """`--admin`, and the options that find an agent in a cluster. The command is given `admin`, an address that answers
    while it runs, and `everywhere`: whether all nodes are meant."""

    @functools.wraps(command)
    def reached(*args: Any, admin: str, kubernetes: bool, kubeconfig: str, node: str, **options: Any) -> Any:
        if not (kubernetes or kubeconfig or node):
            return command(*args, admin=admin, everywhere=False, **options)
        with forwarded(kubeconfig, node) as found:
            return command(*args, admin=found, everywhere=not node, **options)

    found: Any = reached
    unsaid: dict[str, Any] = {"default": "", "show_default": False}
    for option in (
        click.option("--node", metavar="NAME", help="Ask the agent of this node of the cluster.", **unsaid),
        click.option("--kubeconfig", metavar="FILE", help="How to reach that (default: as kubectl).", **unsaid),
        click.option("--kubernetes", is_flag=True, help="Ask the agents of a cluster, by way of its API server."),
        click.option("--admin", default=default, metavar="ADDR", show_default=bool(default), help=meaning),
    ):  # fmt: skip
        found = option(found)
    agent: Command = found
    return agent


@contextmanager
def forwarded(kubeconfig: str, node: str) -> Iterator[str]:
    """An address of ours behind which an agent of the cluster answers. Raises CommandError."""
    from ..node.kubeconfig import kubeconfig_of, own_namespace
    from ..node.options import StartError
    from ..registry.sources.kubernetes import ApiServer, login_by
    from ..registry.sources.portforward import PortForward

    try:
        api = ApiServer(login_by(kubeconfig_of(kubeconfig, dict(os.environ))))
    except StartError as error:
        raise CommandError(str(error)) from None
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="port-forward", daemon=True)
    thread.start()

    whys: list[str] = []

    async def begin() -> tuple[PortForward, int]:
        namespace = own_namespace()
        pod = await _agent(api, namespace, node)
        forward = PortForward(api, namespace, pod["metadata"]["name"], _port(pod), whys.append)
        return forward, await forward.listen()

    try:
        forward, port = asyncio.run_coroutine_threadsafe(begin(), loop).result(PATIENCE)
        try:
            yield f"127.0.0.1:{port}"
        except CommandError:
            if whys:
                raise CommandError(f"the agent cannot be reached: {whys[-1]}{_mend(whys[-1])}") from None
            raise
        finally:
            loop.call_soon_threadsafe(forward.close)
    except TimeoutError:
        raise CommandError(f"the API server does not answer within {PATIENCE:.0f} s; look at --kubeconfig") from None
    finally:
        asyncio.run_coroutine_threadsafe(_end(api), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(PATIENCE)
        loop.close()


def _mend(why: str) -> str:
    return "; bind the Role nodemesh-viewer, or another that may create pods/portforward" if " 403" in why else ""


async def _end(api: ApiServer) -> None:
    """Cancel what is under way."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await api.close()


async def _agent(api: ApiServer, namespace: str, node: str) -> Any:
    """An agent's pod: of a node, or any; one that is ready if there is one. Raises CommandError."""
    from ..registry.sources.api import ApiError

    query = {"labelSelector": SELECTOR, **({"fieldSelector": f"spec.nodeName={node}"} if node else {})}
    try:
        body = await api.get(f"/api/v1/namespaces/{namespace}/pods", query, "application/json")
    except ApiError as error:
        raise CommandError(str(error)) from None
    pods = msgspec.json.decode(body)["items"]
    running = [pod for pod in pods if pod.get("status", {}).get("phase") == "Running"]
    if not running:
        where = f"on node {node}" if node else f"in the namespace {namespace}"
        raise CommandError(f"no agent runs {where}; `kubectl -n {namespace} get pods -o wide` shows them")
    return next(filter(_is_ready, running), running[0])


def _is_ready(pod: Any) -> bool:
    conditions = pod["status"].get("conditions", ())
    return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)


def _port(pod: Any) -> int:
    ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", ())]
    return next((port["containerPort"] for port in ports if port.get("name") == PORT_NAME), PORT)
