from tests.unit.balance.building import endpoint

from nodemesh.balance.host import Host
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
