"""A mesh in one process: a proxy over the simulated network, its tables from YAML, its records at hand."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random

from ..config.load import load_text
from ..proxy.accept.reception import Reception
from ..proxy.clock import Clock
from ..proxy.pod import Pod
from ..proxy.proxy import Proxy
from ..proxy.transport import Handler
from ..registry.store import Store
from ..routing.client import Client
from ..routing.compile import compile_tables
from ..routing.tables import Tables
from ..telemetry.record import ConnectionRecord
from ..telemetry.telemetry import Telemetry
from .network import MemoryNetwork, Server
from .pipe import Peer


class Recorder(Telemetry):
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

    def __init__(self, config: str, seed: int = 1) -> None:
        self.network = MemoryNetwork()
        self.clock = Clock(1000.0, 1_700_000_000.0)
        self.telemetry = Recorder()
        self._store = Store()
        self.proxy = Proxy(self.network, self.clock, Random(seed), self.telemetry, self._compile(config))
        self._pods: dict[tuple[str, str], int] = {}

    @property
    def records(self) -> list[ConnectionRecord]:
        return self.telemetry.records

    def configure(self, config: str) -> None:
        """Replace the configuration; open connections stay."""
        self._store = Store()
        self.proxy.set_tables(self._compile(config))

    def serve(self, address: str, port: int, silent: bool = False) -> Server:
        """Have someone listen there."""
        server = self.network.servers[address, port] = Server(silent)
        return server

    def stop_serving(self, address: str, port: int) -> None:
        """Refuse new connections there from now on."""
        del self.network.servers[address, port]

    def connect(
        self, address: str, port: int, namespace: str = "default", name: str = "client", labels: Mapping[str, str] = {}
    ) -> Peer:
        """A pod dials an address."""
        pod = self._pod(namespace, name, Client(namespace=namespace, name=name, labels=labels))
        return self._accept(pod, "10.1.0.9:40000", (address, port))

    def arrive(
        self,
        port: int,
        labels: Mapping[str, str],
        remote: str = "203.0.113.9:40000",
        namespace: str = "istio-system",
    ) -> Peer:
        """Someone outside dials a port of the gateway with these labels."""
        client = Client(namespace=namespace, name=f"gateway-{port}", labels=labels, gateway=True)
        pod = self._pod(client.namespace, client.name, client)
        pod.gateway_port = port
        return self._accept(pod, remote, None)

    def _pod(self, namespace: str, name: str, client: Client) -> Pod:
        number = self._pods.get((namespace, name))
        if number is None:
            number = self._pods[namespace, name] = len(self._pods) + 1
            self.proxy.add_pod(number, client, 100 + number, number)
        return self.proxy.pods[number]

    def _accept(self, pod: Pod, remote: str, dialled: tuple[str, int] | None) -> Peer:
        transport = self.network.transport(pod.lane, Handler(), True)
        transport.remote = remote
        Reception(pod).accepted(transport, dialled)
        return transport.peer

    def _compile(self, config: str) -> Tables:
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
