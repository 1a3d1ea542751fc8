"""What of a snapshot leaves the agent; that all rules do is in diff's tests."""

from tests.unit.node.test_exporter import snapshot

from nodemesh.config.providers import HttpHeader
from nodemesh.registry.carry import decode_snapshot, encode_snapshot


def test_a_collectors_token_stays_here():
    found = snapshot(4318, path="/otlp", headers=(HttpHeader(name="authorization", value="secret"),))
    data = encode_snapshot(found)
    assert b"secret" not in data
    (provider,) = decode_snapshot(data).mesh.extension_providers
    assert (provider.name, provider.opentelemetry.port, provider.opentelemetry.http.path) == ("otel", 4318, "/otlp")
