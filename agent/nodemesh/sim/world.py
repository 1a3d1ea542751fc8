"""A mesh in one process: a proxy over the simulated network, its tables from YAML, its records at hand."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from ..config.load import load_text
from ..proxy.accept.reception import Reception
from ..proxy.addresses import ADDRESSES
from ..proxy.clock import Clock
from ..proxy.peer import ListenerRole
from ..proxy.pod import Pod
from ..proxy.proxy import Proxy
from ..proxy.tcp.connection import start_tcp
from ..proxy.transport import Handler
from ..registry.store import Store
from ..routing.client import Client
from ..routing.compile import compile_tables
from ..routing.decision import Decision
from ..routing.tables import Tables
from ..telemetry.record import ConnectionRecord
from ..telemetry.telemetry import Telemetry
from .network import MemoryNetwork, SimServer
from .pipe import MemoryTransport, Peer


class RecordingTelemetry(Telemetry):
    """Telemetry that also keeps the records themselves."""

    __slots__ = ("records",)

    def __init__(self) -> None:
        super().__init__()
        self.records: list[ConnectionRecord] = []

    def record(self, record: ConnectionRecord) -> None:
        self.records.append(record)
        super().record(record)


class World:
    """`run` lets happen what is under way; `advance` lets time pass. The random numbers are the seed's."""

    def __init__(
        self,
        config: str | Tables,
        seed: int = 1,
        network: MemoryNetwork | None = None,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.network = network or MemoryNetwork()
        self.clock = Clock(1000.0, 1_700_000_000.0)
        self.recorder = RecordingTelemetry()
        self._store = Store()
        self.proxy = Proxy(self.network, self.clock, Random(seed), telemetry or self.recorder, self._compile(config))
        self._pods: dict[tuple[str, str, tuple[tuple[str, str], ...], int], int] = {}

    @property
    def records(self) -> list[ConnectionRecord]:
        return self.recorder.records

    @property
    def telemetry(self) -> Telemetry:
        return self.proxy.shared.telemetry

    def configure(self, config: str | Tables) -> None:
        """Replace the configuration; open connections stay."""
        self._store = Store()
        self.proxy.set_tables(self._compile(config))

    def serve(self, address: str, port: int, silent: bool = False) -> SimServer:
        """Have someone listen there."""
        server = self.network.servers[address, port] = SimServer(silent)
        return server

    def connect(
        self, address: str, port: int, namespace: str = "default", name: str = "client", labels: Mapping[str, str] = {}
    ) -> Peer:
        """A pod dials an address."""
        return self.dial(Client(namespace=namespace, name=name, labels=labels), "10.1.0.9:40000", (address, port))

    def arrive(
        self,
        port: int,
        labels: Mapping[str, str],
        remote: str = "203.0.113.9:40000",
        namespace: str = "istio-system",
    ) -> Peer:
        """Someone outside dials a port of the gateway with these labels."""
        client = Client(namespace=namespace, name=f"gateway-{port}", labels=labels, gateway=True)
        return self.enter(client, remote, port)

    def dial(self, client: Client, remote: str, dialled: tuple[str, int]) -> Peer:
        """This client dials from its address `remote`: `connect` for a client of which more is known."""
        return self._accept(self.pod(client, 0), remote, dialled)

    def enter(self, client: Client, remote: str, port: int) -> Peer:
        """Someone at `remote` dials a port of this gateway: `arrive` for a gateway of which more is known."""
        return self._accept(self.pod(client, port), remote, None)

    def relay(self, client: Client, remote: str, dialled: tuple[str, int], decision: Decision) -> Peer:
        """What the kernel would do with a connection that does not come to the proxy."""
        pod = self.pod(client, 0)
        pod.budget.try_connection()
        transport = self._transport(pod, remote)
        transport.local = ADDRESSES[dialled].text
        start_tcp(pod, transport, decision, dialled, b"", "")
        return transport.far_end

    def pod(self, client: Client, port: int = 0) -> Pod:
        """The client as the proxy has it; `port` is a gateway's."""
        key = (client.namespace, client.name, tuple(sorted(client.labels.items())), port)
        number = self._pods.get(key)
        if number is None:
            number = self._pods[key] = len(self._pods) + 1
            self.proxy.add_pod(number, client, 100 + number, number).gateway_port = port
        return self.proxy.pods[number]

    def _transport(self, pod: Pod, remote: str) -> MemoryTransport:
        transport = self.network.transport(pod.lane, Handler(), True)
        transport.remote = remote
        return transport

    def _accept(self, pod: Pod, remote: str, dialled: tuple[str, int] | None) -> Peer:
        transport = self._transport(pod, remote)
        Reception(pod, ListenerRole.GATEWAY if pod.gateway_port else ListenerRole.OUTBOUND).accepted(transport, dialled)
        return transport.far_end

    def _compile(self, config: str | Tables) -> Tables:
        if isinstance(config, Tables):
            return config
        loaded = load_text(config, "mesh.yaml")
        if loaded.problems:
            raise ValueError("; ".join(str(problem) for problem in loaded.problems))
        return compile_tables(self._store.apply("sim", loaded.objects))

    def run(self) -> None:
        """Let happen what is under way, at this very moment."""
        self.network.run()
        self.clock.advance(self.clock.now)
        self.network.run()

    def advance(self, seconds: float) -> None:
        """Let time pass, one timer after the other."""
        end = self.clock.now + seconds
        self.network.run()
        while True:
            wait = self.clock.wait()
            if wait is None or self.clock.now + wait > end:
                break
            self.clock.advance(self.clock.now + wait)
            self.network.run()
        self.clock.advance(end)
        self.network.run()
