from math import exp, isclose

from tests.unit.balance.building import endpoint

from nodemesh.balance.host import DECAY, DEFAULT_LATENCY, Host
from nodemesh.balance.rows import EJECTED_AT, private_row


def test_load_is_what_has_begun_and_not_ended():
    host = Host(endpoint(1), private_row(), 0.0)
    host.begin()
    host.begin()
    host.end()
    assert (host.load, host.requests) == (1, 2)


def test_an_absent_weight_counts_as_one():
    assert Host(endpoint(1, weight=0), private_row(), 0.0).weight == 1


def test_repr_shows_what_matters():
    host = Host(endpoint(1), private_row(), 0.0)
    host.row.set(EJECTED_AT, 5)
    assert repr(host) == "<Host 10.0.0.1:8080 ejected load=0>"


def test_latency_follows_what_gets_worse_at_once_and_what_gets_better_slowly():
    host = Host(endpoint(1), private_row(), 0.0)
    assert host.latency_at(0.0) == DEFAULT_LATENCY
    host.observe(0.2, 1.0)
    assert host.latency_at(1.0) == 0.2
    host.observe(0.1, 1.0)  # no time has passed: nothing is forgotten yet
    assert isclose(host.latency_at(1.0), 0.2)
    host.observe(0.1, 1.0 + DECAY / 2)
    assert isclose(host.latency_at(1.0 + DECAY / 2), 0.2 * exp(-0.5))
    host.observe(0.1, 1.0 + DECAY)
    assert host.latency_at(1.0 + DECAY) == 0.1
    host.observe(5.0, 2.0 + DECAY)
    assert host.latency_at(2.0 + DECAY) == 5.0


def test_without_news_latency_is_believed_less_and_less():
    host = Host(endpoint(1), private_row(), 0.0)
    host.observe(0.2, 1.0)
    assert isclose(host.latency_at(1.0 + DECAY), 0.2 * exp(-1))
    assert host.latency_at(1e6) == 0.0
    host.observe(0.1, 1e6)
    assert isclose(host.latency_at(1e6), 0.1)
