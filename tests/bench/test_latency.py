"""The open load asks when it is due, whatever is under way, and counts the waiting."""

import socket
import threading

import pytest
from tests.bench import latency_load
from tests.bench.latency_load import OpenLoad, arrivals, percentile

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nbody"


class Server:
    """Answers each request once `wanted` have come."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = self.listener.getsockname()
        self.answer = ANSWER
        self.wanted = 1
        self.requests = 0
        self.come = threading.Condition()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with connection:
            while connection.recv(65536):
                with self.come:
                    self.requests += 1
                    self.come.notify_all()
                    self.come.wait_for(lambda: self.requests >= self.wanted)
                connection.sendall(self.answer)


@pytest.fixture
def server():
    found = Server()
    yield found
    found.listener.close()


def load(address, due):
    found = OpenLoad(address, b"GET / HTTP/1.1\r\n\r\n", b"body", due)
    found.run()
    return found


def test_requests_come_whatever_is_under_way_and_count_from_when_they_were_due(server):
    server.wanted = 4
    found = load(server.address, [0.0, 0.05, 0.1, 0.15])
    assert found.failed == 0 and server.requests == 4
    assert found.connections == 4, "none waits for another's answer"
    assert found.took[0] >= 0.15, "it was not answered before the last one came"


def test_a_connection_serves_again(server):
    found = load(server.address, [0.0, 1.0])
    assert (found.connections, server.requests) == (1, 2)


def test_what_is_not_answered_well_has_failed(server):
    server.answer = ANSWER.replace(b"200", b"503")
    assert load(server.address, [0.0, 0.1]).failed == 2


def test_what_is_not_answered_at_all_has_failed(server, monkeypatch):
    monkeypatch.setattr(latency_load, "PATIENCE", 0.2)
    server.wanted = 2
    assert load(server.address, [0.0]).failed == 1


def test_arrivals_are_the_same_for_all_and_as_many_as_asked_for():
    found = arrivals(1_000.0, 10.0)
    assert found == arrivals(1_000.0, 10.0) == sorted(found)
    assert 9_500 < len(found) < 10_500
    gaps = [after - before for before, after in zip(found, found[1:], strict=False)]
    assert min(gaps) < 0.0001 < 0.003 < max(gaps), "they do not come in step"


def test_percentiles():
    values = [float(number) for number in range(1, 101)]
    assert (percentile(values, 50), percentile(values, 99), percentile(values[:1], 99)) == (51.0, 100.0, 1.0)
