"""The control process: makes `Control`, and the admin API that shows it."""

from __future__ import annotations

import asyncio
import gc
import socket
import sys

import msgspec

from ..proxy.io.memory import Allocator
from .control import Control
from .logs import setup
from .options import RunOptions, StartError
from .status import RunningNode
from .store import StoreClient
from .supervisor import HOPELESS

#: The collector's thresholds: a cluster's objects are made by the hundred thousand, and are no garbage.
COLLECTOR = (50_000, 20, 100)


async def run(options: RunOptions, store_fd: int, workers_fd: int, first: bool) -> None:
    """Until SIGTERM or the supervisor's end. Raises StartError."""
    store = StoreClient(socket.socket(fileno=store_fd))
    store.load()
    control = Control(options, store, socket.socket(fileno=workers_fd), first)
    await control.run(RunningNode(control))


def main(arguments: list[str]) -> int:
    """`python -m nodemesh.node.control_process OPTIONS STORE_FD WORKERS_FD [first]`; the supervisor calls it."""
    options = msgspec.json.decode(arguments[0], type=RunOptions)
    setup("control", json=options.log_json)
    Allocator().keep_apart()
    gc.set_threshold(*COLLECTOR)
    gc.freeze()  # what was imported stays, and is not looked through while a cluster is loaded
    try:
        asyncio.run(run(options, int(arguments[1]), int(arguments[2]), "first" in arguments[3:]))
    except StartError as error:
        print(f"nodemesh: {error}", file=sys.stderr)
        return HOPELESS
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
