import pytest

from nodemesh.registry.protocols import select_protocol
from nodemesh.registry.snapshot import Protocol


@pytest.mark.parametrize(
    ("number", "name", "app_protocol", "transport", "protocol"),
    [
        (80, "http", "", "TCP", Protocol.HTTP),
        (80, "http-web", "", "TCP", Protocol.HTTP),
        (80, "HTTP2-x", "", "TCP", Protocol.HTTP2),
        (80, "grpc-web", "", "TCP", Protocol.GRPC_WEB),
        (80, "grpc-webby", "", "TCP", Protocol.GRPC_WEB),
        (80, "GRPC-Web-x", "", "TCP", Protocol.GRPC_WEB),
        (80, "grpc-x", "", "TCP", Protocol.GRPC),
        (80, "h2c", "", "TCP", Protocol.AUTO),
        (80, "kubernetes.io/h2c", "", "TCP", Protocol.AUTO),
        (80, "httpx", "", "TCP", Protocol.AUTO),
        (80, "web", "", "TCP", Protocol.AUTO),
        (80, "tcp-web", "http", "TCP", Protocol.HTTP),
        (80, "", "kubernetes.io/h2c", "TCP", Protocol.HTTP2),
        (80, "", "kubernetes.io/ws", "TCP", Protocol.HTTP),
        (80, "", "kubernetes.io/wss", "TCP", Protocol.HTTPS),
        (80, "", "Kubernetes.io/h2c", "TCP", Protocol.AUTO),
        (80, "", "KUBERNETES.IO/WS", "TCP", Protocol.AUTO),
        (80, "", "GRPC", "TCP", Protocol.GRPC),
        (80, "", "grpc-x", "TCP", Protocol.GRPC),
        (80, "", "http_proxy", "TCP", Protocol.HTTP),
        (80, "http", "example.com/own", "TCP", Protocol.AUTO),
        (80, "http-y", "kubernetes.io/foo", "TCP", Protocol.AUTO),
        (80, "grpc", "tcp", "TCP", Protocol.TCP),
        (3306, "http", "example.com/own", "TCP", Protocol.TCP),
        (3306, "", "", "TCP", Protocol.TCP),
        (3306, "http", "", "TCP", Protocol.HTTP),
        (53, "dns", "", "UDP", Protocol.UDP),
    ],
)
def test_select_protocol(number, name, app_protocol, transport, protocol):
    assert select_protocol(number, name, app_protocol, transport) is protocol
