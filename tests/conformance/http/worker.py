"""The worker under test: the real one, told by control's own messages, with an access log and counters to look at."""

from __future__ import annotations

import json
import mmap
import os
import socket
import tempfile
import threading
from typing import Any

import msgspec

from nodemesh.config.load import load_object
from nodemesh.proxy import messages
from nodemesh.proxy.io.platform import Platform
from nodemesh.proxy.messages import FromWorker
from nodemesh.proxy.peer import ListenerRole
from nodemesh.proxy.worker import Worker
from nodemesh.registry.snapshot import Locality
from nodemesh.registry.store import Store
from nodemesh.routing.client import Client
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.wire import encode_update
from nodemesh.telemetry.access_log import AccessLog
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.labels import HTTP_LABELS
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals

from .case import Who

FLUSH = 0.02


class WorkerUnderTest:
    """One worker, for many cases one after the other."""

    def __init__(self) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`
        self.log = AccessLog(self._log.fileno(), LogFormatter(json=True))
        self._control, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(10)
        self.worker = Worker(far, Platform(), Telemetry(self.log))
        self._totals = Totals()
        self._version = 0
        self._listeners = 0
        self._fds: list[int] = []
        self._flush()
        self._thread = threading.Thread(target=self.worker.run, daemon=True)
        self._thread.start()
        assert isinstance(self._hear(), messages.Hello)

    def close(self) -> None:
        self._control.close()
        self._thread.join(10)
        self._log.close()
        assert not self._thread.is_alive()

    def apply(self, objects: list[dict[str, Any]]) -> None:
        """New tables; every object must be good."""
        loaded = [load_object(item, "case") for item in objects]
        problems = [str(problem) for one in loaded for problem in one.problems if problem.refused]
        assert not problems, problems
        tables = compile_tables(Store().apply("case", [item for one in loaded for item in one.objects]))
        self._version += 1
        fd = os.memfd_create("tables")
        os.write(fd, encode_update(None, msgspec.structs.replace(tables, version=self._version)))
        self._say(messages.SetTables(version=self._version, base=0), fd)
        os.close(fd)
        assert self._hear() == messages.Applied(version=self._version)

    def listen(self, who: Who, namespace: str, destination: tuple[str, int]) -> tuple[str, int]:
        """A listener for one client; all that comes there was dialled to the destination."""
        self._listeners += 1
        region, zone, subzone = (*who.locality.split("/"), "", "")[:3]
        client = Client(
            namespace=who.namespace or namespace,
            name="client",
            labels=who.labels,
            locality=Locality(region=region, zone=zone, subzone=subzone),
            gateway=who.gateway,
        )
        with socket.create_server(("127.0.0.1", 0), backlog=256) as listener:
            address: tuple[str, int] = listener.getsockname()
            self._say(
                messages.AddListener(
                    id=self._listeners,
                    role=ListenerRole.GATEWAY if who.gateway else ListenerRole.OUTBOUND,
                    descriptors=(messages.Descriptor.SOCKET,),
                    client=client,
                    destination=None if who.gateway else destination,
                    gateway_port=destination[1] if who.gateway else 0,
                ),
                listener.fileno(),
            )
        return address

    def forget_listeners(self) -> None:
        for number in list(self.worker.listeners):
            self._say(messages.RemoveListener(id=number))

    def lines(self, identity: str) -> list[dict[str, Any]]:
        """The access log's lines of one request (and of its copies)."""
        size = os.fstat(self._log.fileno()).st_size
        written = os.pread(self._log.fileno(), size, 0)
        every = written[: written.rfind(b"\n") + 1].splitlines()  # the last may be on its way
        return [json.loads(line) for line in every if identity.encode() in line]

    def requests(self, labels: dict[str, str]) -> int:
        """The sum of `istio_requests_total` over the series with these labels."""
        more = True
        while more:  # a part at a time, where there are many series
            self._say(messages.GetStatistics(id=1, kept=self._totals.kept("worker")))
            assert isinstance(self._hear(), messages.Statistics)
            with mmap.mmap(self._fds[0], 0, access=mmap.ACCESS_READ) as memory:
                for dump in self._totals.update("worker", memory[:], 0.0):
                    more = dump.more
            os.close(self._fds[0])
        wanted = [(HTTP_LABELS.index(key), value) for key, value in labels.items()]
        rows = [row.counts for row in self._totals.http.values()]
        return sum(row.requests for row in rows if all(row.labels[place] == value for place, value in wanted))

    def _flush(self) -> None:
        self.worker.telemetry.flush()
        self.worker.reactor.clock.after(FLUSH, self._flush)

    def _say(self, message: messages.Message, *fds: int) -> None:
        socket.send_fds(self._control, [msgspec.msgpack.encode(message)], fds)

    def _hear(self) -> object:
        packet, self._fds, _, _ = socket.recv_fds(self._control, 65536, 4)
        return msgspec.msgpack.decode(packet, type=FromWorker)
