"""What `nodemesh run` was asked to do, as the supervisor hands it to its processes."""

from __future__ import annotations

import re
from enum import StrEnum
from ipaddress import ip_address

import msgspec

from ..config.meshconfig import MeshConfigSpec
from ..config.reach import GATEWAY_FOLDERS

#: What a cluster may be called: its name becomes a file's, and a metric's label.
CLUSTER_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,198}[A-Za-z0-9])?")


class StartError(Exception):
    """The agent cannot start; the message is one sentence with its mend, for the user's terminal."""


class Ebpf(StrEnum):
    """auto: where the machine can. off: never. require: refuse to start without."""

    AUTO = "auto"
    OFF = "off"
    REQUIRE = "require"


class ListenAddress(msgspec.Struct, frozen=True):
    """Where to listen; port 0 lets the kernel choose."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Expose(msgspec.Struct, frozen=True, kw_only=True):
    """A plain listener at `listen` whose connections count as dialled to `host`:`port`."""

    host: str
    port: int
    listen: ListenAddress

    @property
    def name(self) -> str:
        return f"expose:{self.host}:{self.port}={self.listen}"


class GatewayListen(msgspec.Struct, frozen=True, kw_only=True):
    """A listener at `listen` for what the Gateways' servers of port `port` are to answer."""

    port: int
    listen: ListenAddress

    @property
    def name(self) -> str:
        return f"gateway:{self.port}={self.listen}"


class RemoteCluster(msgspec.Struct, frozen=True):
    """Another cluster by its name, and the kubeconfig file that reaches it."""

    name: str
    kubeconfig: str


class RunOptions(msgspec.Struct, frozen=True, kw_only=True):
    """`client` is the `namespace/name` behind the plain listeners, empty where nobody said; `keep_going` starts
    although some of the files' objects are refused; `gateway` has the labels of the gateway workload that this process
    serves as, in addition; `grace` is seconds given to open connections when the
    agent stops;
    `worker_limit` and `control_limit` are seconds without a sign of life after which a process is replaced, 0 for
    never; `workers` 0 stands for one per processor. With `kubernetes`, an empty `kubeconfig` stands for the
    pod's service account, and an empty `state_dir` for keeping nothing on disk. `cluster` is the own cluster's name;
    `remote_secrets` follows the clusters that Secrets of the own namespace name, beside the `remotes`. The supervisor
    resolves all that depends on the machine: in what it hands on, `run_dir` is set and `ebpf` is never `auto`."""

    config: tuple[str, ...] = ()
    keep_going: bool = False
    kubernetes: bool = False
    kubeconfig: str = ""
    relay: str = ""  # the URL of a relay that is asked before the API server
    relay_ca: str = ""  # the file with the authority of its certificate
    startup_taint: bool = False  # is removed from the own node once it is served
    state_dir: str = ""
    cluster: str = ""
    remotes: tuple[RemoteCluster, ...] = ()
    remote_secrets: bool = False
    node: str = ""
    expose: tuple[Expose, ...] = ()
    client: str = ""
    gateway: dict[str, str] = {}
    gateway_listen: tuple[GatewayListen, ...] = ()
    gateway_image: str = ""  # of the workloads that managed Gateways get; empty: they get none
    gateway_bind: str = ""  # the address for every port that the Gateways ask for
    admin: ListenAddress = ListenAddress("127.0.0.1", 15000)
    peers: ListenAddress | None = None  # where the agents of other nodes ask; None: nowhere, and they are not asked
    peers_token: str = ""  # the file with what shows that we are one of them
    workers: int = 1
    ebpf: Ebpf = Ebpf.AUTO
    access_log: str = ""
    log_json: bool = False
    cgroup_root: str = ""
    bpffs: str = "/sys/fs/bpf/nodemesh"
    run_dir: str = ""
    control_socket: str = ""  # of this generation, in the run folder
    replace: bool = False
    grace: float = 10.0
    worker_limit: float = 10.0
    control_limit: float = 30.0

    @property
    def operator_socket(self) -> str:
        """Where this generation's control takes orders."""
        folder, _, name = self.control_socket.rpartition("/")
        return f"{folder}/{name.replace('control', 'operator')}"

    @property
    def serves_gateways_alone(self) -> bool:
        """Whether this is a gateway's own pod: what is in its file system is there for the gateway."""
        return bool(self.gateway) and self.ebpf is Ebpf.OFF

    def folders(self, mesh: MeshConfigSpec) -> tuple[str, ...] | None:
        """Where unix sockets are upstreams: anywhere for who has written all of the configuration."""
        mounted = GATEWAY_FOLDERS if self.serves_gateways_alone else ()
        return (*mesh.allowed_folders, *mounted) if self.kubernetes else None

    @property
    def listeners(self) -> tuple[Expose | GatewayListen, ...]:
        """What is listened for apart from pods."""
        return (*self.expose, *self.gateway_listen)

    @property
    def listens(self) -> bool:
        """Whether anything is served apart from pods, now or once the Gateways ask for ports."""
        return bool(self.listeners or self.gateway_bind)


def parse_address(text: str, default_port: int = 0) -> ListenAddress:
    """`127.0.0.1:8080`, `[::1]:8080`, `:8080` (loopback) or `8080`. Raises StartError."""
    host, found, port = text.rpartition(":")
    if not found and not text.isdigit():
        host, port = text, str(default_port)
    if not port.isdigit() or not 0 <= int(port) <= 65535:
        raise StartError(f"{text!r} is not an address to listen at; write it as 127.0.0.1:8080")
    return ListenAddress(host.strip("[]") or "127.0.0.1", int(port))


def parse_expose(text: str) -> Expose:
    """`HOST:PORT=ADDR`. Raises StartError."""
    dialled, found, listen = text.partition("=")
    host, colon, port = dialled.rpartition(":")
    if not found or not colon or not host or not port.isdigit() or not 0 < int(port) <= 65535:
        raise StartError(f"--expose {text!r} is not HOST:PORT=ADDR; write it as reviews:9080=127.0.0.1:19080")
    return Expose(host=host.strip("[]"), port=int(port), listen=parse_address(listen))


def parse_remote(text: str) -> RemoteCluster:
    """`NAME=FILE`. Raises StartError."""
    name, found, kubeconfig = text.partition("=")
    if not found or not re.fullmatch(CLUSTER_NAME, name) or not kubeconfig:
        raise StartError(f"--remote {text!r} is not NAME=FILE; write it as west=/etc/nodemesh/west.kubeconfig")
    return RemoteCluster(name, kubeconfig)


def parse_labels(text: str) -> dict[str, str]:
    """`k=v,…`. Raises StartError."""
    pairs = [part.partition("=") for part in text.split(",") if part]
    if not all(found and name.strip() for name, found, _ in pairs):
        raise StartError(f"--gateway {text!r} has no labels; write it as istio=ingressgateway,app=gateway")
    return {name.strip(): value.strip() for name, _, value in pairs}


def parse_gateway_bind(text: str) -> str:
    """An address alone: every port of the Gateways, there. Raises StartError."""
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        raise StartError(
            f"--gateway-listen {text!r} is neither PORT=ADDR nor an address; write it as 443=0.0.0.0:8443 or 0.0.0.0"
        ) from None


def parse_gateway_listen(text: str) -> GatewayListen:
    """`PORT=ADDR`. Raises StartError."""
    port, found, listen = text.partition("=")
    if not found or not port.isdigit() or not 0 < int(port) <= 65535:
        raise StartError(f"--gateway-listen {text!r} is not PORT=ADDR; write it as 443=0.0.0.0:8443")
    return GatewayListen(port=int(port), listen=parse_address(listen))
