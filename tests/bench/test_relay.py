"""The relay suite notices what is wrong: bytes that are lost, changed, cut off or not relayed at all."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from tests.bench import relay_bytes
from tests.bench.aftermath import subfolder
from tests.bench.processes import Cores
from tests.bench.relay_load import Order, Seen
from tests.bench.relay_proxies import Identity, RelayingEnvoy, RelayingNodemesh
from tests.bench.relay_suite import CASES, CHECKS, Upstream, faults, load, one_run, start_upstream
from tests.bench.relay_upstream import ADDRESS


@pytest.fixture(scope="module")
def cores() -> Cores:
    return Cores.share()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("relay")


@pytest.fixture(scope="module")
def upstream(folder: Path, cores: Cores) -> Iterator[Upstream]:
    found = start_upstream(folder, cores)
    yield found
    found.process.stop()


def through(change: Callable[[bytes], bytes], upstream: Upstream, cores: Cores, kind: str, size: int = 0) -> Seen:
    """What the load sees of a relay that does this to the third piece of what the client says."""

    def pump(source: socket.socket, sink: socket.socket, change: Callable[[bytes], bytes] | None) -> None:
        number = 0
        with suppress(OSError):
            while data := source.recv(4096):
                number += 1
                sink.sendall(change(data) if change is not None and number == 3 else data)
            sink.shutdown(socket.SHUT_WR)

    def serve() -> None:
        with suppress(OSError):
            while True:
                client = listener.accept()[0]
                server = socket.create_connection((ADDRESS, upstream.port))
                for ends in ((client, server, change), (server, client, None)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        return load(Order(kind, listener.getsockname()[1], upstream.port, 1, 0.2, size), cores)


def test_right_bytes_are_right(upstream: Upstream, cores: Cores):
    seen = through(lambda data: data, upstream, cores, "compare", 16384)
    assert seen.mistakes == [] and seen.count > 16384


def test_a_changed_byte_is_seen(upstream: Upstream, cores: Cores):
    seen = through(lambda data: bytes([data[0] ^ 1]) + data[1:], upstream, cores, "compare", 16384)
    assert len(seen.mistakes) == 1 and "wrong bytes came after byte" in seen.mistakes[0]


def test_lost_bytes_are_seen_though_nobody_compares(upstream: Upstream, cores: Cores):
    seen = through(lambda data: data[1:], upstream, cores, "bulk", 16384)
    assert any(" bytes came" in mistake for mistake in seen.mistakes)


def test_what_nobody_relays_is_no_work(cores: Cores):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        deaf.close()
        with pytest.raises(Exception, match="ConnectionRefusedError"):
            load(Order("short", port, 1, 1, 0.1), cores)


def test_the_stream_repeats_at_no_power_of_two():
    whole = bytes(relay_bytes.at(0, 200_000))
    for size in (1 << power for power in range(18)):
        assert bytes(relay_bytes.at(size, 1000)) == whole[size : size + 1000] != whole[:1000]


@pytest.mark.parametrize("kind", [RelayingEnvoy, RelayingNodemesh], ids=lambda kind: kind.name)
def test_both_proxies_do_all_of_it(kind, folder: Path, upstream: Upstream, cores: Cores):
    proxy = kind(subfolder(folder, kind.name), upstream.port, cores, Identity(folder))
    try:
        for case in (*CHECKS, *CASES):
            assert faults(case, proxy, one_run(case, proxy, 0.1, cores)) == []
        proxy.process.wait_until(lambda: proxy.clients() == 0, "let go of its clients")
        proxy.process.wait_until(lambda: proxy.logged()[0] > len(CASES), "write its log")
        assert proxy.logged()[1] >= 21
    finally:
        proxy.stop()
