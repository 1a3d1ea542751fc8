"""The proxies of suite `relay`: opaque TCP at one port, TLS that they end at another, to the same upstream."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from nodemesh.lab.certificates import Authority

from . import rules
from .envoy import METRIC_LABELS, Envoy, typed
from .nodemesh import CLIENT, Nodemesh, istio, metadata, pod
from .processes import Cores, free_port
from .proxy import LOOPBACK, Proxy
from .relay_upstream import ADDRESS, ECHO

APP = "store"
HOST = f"{APP}.{rules.NAMESPACE}.svc.cluster.local"
PORT, TLS_PORT = 9000, 9443
SERVER_NAME = "store.example"


class Identity:
    """The certificate (ECDSA P-256) that both proxies show, as files."""

    def __init__(self, folder: Path) -> None:
        authority = Authority()
        pair = authority.issue(SERVER_NAME)
        self.authority, self.certificate, self.key = folder / "ca.pem", folder / "server.pem", folder / "key.pem"
        self.authority.write_bytes(authority.certificate)
        self.certificate.write_bytes(pair.certificate)
        self.key.write_bytes(pair.key)


class Relaying(Proxy):
    """A proxy that relays: ready when an echo comes back."""

    def __init__(self, folder: Path, upstream_port: int, cores: Cores, identity: Identity) -> None:
        self.identity = identity
        self.tls_port = free_port()
        super().__init__(folder, upstream_port, cores)

    def ready(self) -> bool:
        return echoes(self.port)

    def ports(self) -> tuple[int, ...]:
        return (self.port, self.tls_port)


class RelayingEnvoy(Relaying, Envoy):
    """Envoy's TCP proxy as Istio sets it up: log, the four TCP metrics, the original destination looked up."""

    def bootstrap(self) -> dict[str, Any]:
        found = super().bootstrap()
        name = f"outbound|{PORT}||{HOST}"
        files = self.identity
        pair = {"certificate_chain": {"filename": str(files.certificate)}, "private_key": {"filename": str(files.key)}}
        tls = {
            **typed("extensions.transport_sockets.tls.v3.DownstreamTlsContext"),
            "common_tls_context": {"tls_certificates": [pair]},
        }
        plain = self.relay(f"{LOOPBACK}_{PORT}", self.port, name)
        secure = self.relay(f"{LOOPBACK}_{TLS_PORT}", self.tls_port, name)
        secure["filter_chains"][0]["transport_socket"] = {"name": "envoy.transport_sockets.tls", "typed_config": tls}
        found["static_resources"] = {
            "listeners": [plain, secure],
            "clusters": [self._cluster(name, APP, "v1", (ADDRESS,))],
        }
        return found

    def relay(self, name: str, port: int, cluster: str) -> dict[str, Any]:
        """A listener with the TCP proxy on it."""
        proxy = {
            **typed("extensions.filters.network.tcp_proxy.v3.TcpProxy"),
            "stat_prefix": cluster,
            "cluster": cluster,
            "access_log": [
                {**self._text_log(self.access_log), "filter": logged_as("TcpConnectionEnd")},
                opened_log(),
                closed_log(),
            ],
            "access_log_options": {"flush_access_log_on_connected": True},
        }
        original_destination = typed("extensions.filters.listener.original_dst.v3.OriginalDst")
        return {
            "name": name,
            **self._address(LOOPBACK, port),
            "traffic_direction": "OUTBOUND",
            "listener_filters": [{"name": "envoy.filters.listener.original_dst", "typed_config": original_destination}],
            "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
        }


class RelayingNodemesh(Relaying, Nodemesh):
    """nodemesh with the service exposed, and as the gateway that ends TLS for it."""

    def command(self) -> Sequence[str]:
        config = self.folder / "mesh.yaml"
        config.write_text(yaml.safe_dump_all(objects(self.upstream_port, self.identity), sort_keys=False))
        return [
            *(sys.executable, "-m", "nodemesh", "run", "--config", str(config)),
            *("--expose", f"{HOST}:{PORT}={LOOPBACK}:{self.port}", "--as", f"{rules.NAMESPACE}/{CLIENT}"),
            *("--gateway", "istio=bench", "--gateway-listen", f"{TLS_PORT}={LOOPBACK}:{self.tls_port}"),
            *("--workers", "1", "--ebpf", "off", "--admin", f"{LOOPBACK}:{free_port()}"),
            *("--access-log", str(self.access_log)),
        ]


def echoes(port: int) -> bool:
    """Whether a byte gets through to the upstream and back."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=2) as peer:
        peer.sendall(ECHO + b"?")
        return peer.recv(1) == b"?"
    return False


def objects(pod_port: int, identity: Identity) -> Iterator[dict[str, Any]]:
    """One TCP service, and the gateway's server that leads to it."""
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": rules.NAMESPACE}}
    yield pod(CLIENT, "127.77.0.1", {"app": CLIENT})
    yield pod(f"{APP}-v1-0", ADDRESS, {"app": APP, "version": "v1"})
    port = {"name": "tcp", "port": PORT, "targetPort": pod_port}
    spec = {"clusterIP": "10.96.77.20", "selector": {"app": APP}, "ports": [port]}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": metadata(APP), "spec": spec}
    tls = {"mode": "SIMPLE", "serverCertificate": str(identity.certificate), "privateKey": str(identity.key)}
    server = {"port": {"number": TLS_PORT, "name": "tls", "protocol": "TLS"}, "hosts": [SERVER_NAME], "tls": tls}
    yield istio("Gateway", "bench", {"selector": {"istio": "bench"}, "servers": [server]})
    route = {"route": [{"destination": {"host": HOST, "port": {"number": PORT}}}]}
    matched = {**route, "match": [{"port": TLS_PORT}]}
    yield istio("VirtualService", "bench", {"hosts": [SERVER_NAME], "gateways": ["bench"], "tcp": [matched]})


def logged_as(kind: str) -> dict[str, Any]:
    return {"log_type_filter": {"types": [kind]}}


def stats_log(kind: str, counters: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Counters of Istio's standard TCP metrics, at one point of a connection's life."""
    tags = [{"name": name, "value_format": value} for name, value in METRIC_LABELS.items() if "RESPONSE" not in value]
    return {
        "name": "envoy.access_loggers.stats",
        "filter": logged_as(kind),
        "typed_config": {
            **typed("extensions.access_loggers.stats.v3.Config"),
            "stats_scope": {"prefix": "istio"},
            "counters": [{"stat": {"name": name, "tags": tags}, **value} for name, value in counters.items()],
        },
    }


def opened_log() -> dict[str, Any]:
    return stats_log("TcpUpstreamConnected", {"tcp_connections_opened_total": {"value_fixed": 1}})


def closed_log() -> dict[str, Any]:
    return stats_log(
        "TcpConnectionEnd",
        {
            "tcp_connections_closed_total": {"value_fixed": 1},
            "tcp_sent_bytes_total": {"value_format": "%BYTES_SENT%"},
            "tcp_received_bytes_total": {"value_format": "%BYTES_RECEIVED%"},
        },
    )
