"""The same ten rules through a real Envoy and a real nginx: both answer right, and the verifier sees what is wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.bench import verify, verify_http2
from tests.bench.envoy import Envoy
from tests.bench.processes import Cores, free_port
from tests.bench.proxy import Proxy
from tests.bench.reference import Nginx
from tests.bench.upstream import Upstream


@pytest.fixture
def cores() -> Cores:
    return Cores.share()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for place in (tmp_path, *tmp_path.parents[:2]):
        place.chmod(0o755)
    for name in ("upstream", "proxy"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def upstream(folder: Path, cores: Cores) -> Iterator[Upstream]:
    found = Upstream(folder / "upstream", free_port(), cores)
    yield found
    found.stop()


@pytest.fixture(params=[Envoy, Nginx], ids=lambda kind: kind.name)
def proxy(request: pytest.FixtureRequest, folder: Path, upstream: Upstream, cores: Cores) -> Iterator[Proxy]:
    found = request.param(folder / "proxy", upstream.port, cores)
    yield found
    found.stop()


def test_every_rule_answers_right_and_is_logged(proxy: Proxy, upstream: Upstream):
    assert verify.check(proxy, upstream) == []
    proxy.process.wait_until(lambda: not proxy.clients(), "let go of its clients")
    asked = len(list(verify.questions())) + 2
    proxy.process.wait_until(lambda: proxy.logged()[0] >= asked, "write its log")
    assert proxy.logged()[1] >= 21


@pytest.mark.parametrize("protocol", ["http", "http2", "grpc"])
def test_every_rule_answers_right_over_http2(folder: Path, cores: Cores, protocol: str):
    pods = Upstream(folder / "upstream", free_port(), cores, http2=protocol != "http")
    try:
        envoy = Envoy(folder / "proxy", pods.port, cores, protocol)
        try:
            assert verify_http2.check(envoy, pods) == []
        finally:
            envoy.stop()
    finally:
        pods.stop()
    assert verify_http2.check(envoy, pods), "nobody answers"


def test_a_body_that_differs_by_one_byte_is_seen(proxy: Proxy, upstream: Upstream, folder: Path):
    file = folder / "upstream" / "www" / "10k"
    with file.open("r+b") as body:
        body.seek(5000)
        body.write(bytes([upstream.bodies["/10k"][5000] ^ 1]))
    mistakes = verify.check(proxy, upstream)
    assert mistakes and all("10240 bytes are not the 10240 of /10k" in mistake for mistake in mistakes)


def test_a_dead_upstream_is_seen(proxy: Proxy, upstream: Upstream):
    upstream.stop()
    mistakes = verify.check(proxy, upstream)
    assert any("right is 200" in mistake for mistake in mistakes)
