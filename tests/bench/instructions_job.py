"""The measured half of suite `instructions`: one worker's loop over real sockets, without the processes around it."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Iterator
from random import Random
from typing import Any

from nodemesh.config.load import load_object
from nodemesh.proxy.accept.reception import Reception
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.io.reactor import Reactor
from nodemesh.proxy.peer import ListenerRole
from nodemesh.proxy.proxy import Proxy
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.telemetry.access_log import AccessLog, open_log
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.telemetry import Telemetry

from . import nodemesh, rules
from .instructions_load import CALLED, STORED
from .proxy import LOOPBACK

#: Seconds of a pod's turn: callgrind takes 50 times as long, and each turn would end behind its first socket.
TURN = 60.0

#: What else is called: a service of gRPC with a rule of its own, and one of plain TCP.
CALLS, STORE = ("10.96.77.20", 50051), ("10.96.77.21", 9000)


def objects(pods: int, called: int, stored: int) -> Iterator[dict[str, Any]]:
    """The mesh of rules.py and two services more, each with the port of its pods."""
    yield from nodemesh.objects(pods)
    for app, address, (ip, port), kind, target in (
        ("calls", CALLED, CALLS, "grpc", called),
        ("store", STORED, STORE, "tcp", stored),
    ):
        yield nodemesh.pod(f"{app}-v1-0", address, {"app": app, "version": "v1"})
        spec = {
            "clusterIP": ip,
            "selector": {"app": app},
            "ports": [{"name": kind, "port": port, "targetPort": target}],
        }
        yield {"apiVersion": "v1", "kind": "Service", "metadata": nodemesh.metadata(app), "spec": spec}
    rule = nodemesh.http_route(rules.Rule("calls", headers=(("content-type", "application/grpc"),)))
    rule["route"] = [{"destination": {"host": "calls"}}]
    yield nodemesh.virtual_service("calls", [rule])


def main(ports: list[int], pods: list[int], log: str) -> None:
    """Serves until it is ended: requests, calls and connections at one port each."""
    store = Store()
    found = [item for data in objects(*pods) for item in load_object(data, "bench").objects]
    tables = compile_tables(store.apply("bench", found))
    reactor = Reactor(Platform())
    reactor.shared_turn = reactor.lone_turn = TURN
    telemetry = Telemetry(AccessLog(open_log(log), LogFormatter()))
    proxy = Proxy(reactor, reactor.clock, Random(1), telemetry, tables)
    client = Client(namespace=rules.NAMESPACE, name=nodemesh.CLIENT, labels={"app": nodemesh.CLIENT})
    lane = reactor.add_lane()
    reception = Reception(proxy.add_pod(1, client, -1, lane), ListenerRole.OUTBOUND)
    for port, dialled in zip(ports, ((rules.ADDRESS, rules.PORT), CALLS, STORE), strict=True):
        listener = socket.create_server((LOOPBACK, port), backlog=1024)
        listener.setblocking(False)
        reactor.listen(listener, lane, reception, dialled)

    reactor.run()  # what has ended is logged in whole batches: a slow machine would flush smaller ones by the clock


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
