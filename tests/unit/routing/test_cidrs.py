"""Networks that an address is in: the same as by a look at each, the narrowest first."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from nodemesh.routing.cidrs import Cidrs, cidrs_of

FOURS = st.builds(
    lambda a, b, length: f"{a}.{b}.0.0/{length}", st.integers(8, 11), st.integers(0, 3), st.integers(0, 32)
)
SIXES = st.builds(lambda a, length: f"fd00:{a}::/{length}", st.integers(0, 3), st.integers(0, 128))
ADDRESSES = st.one_of(
    st.builds(lambda a, b, c: f"{a}.{b}.0.{c}", st.integers(8, 11), st.integers(0, 3), st.integers(0, 3)),
    st.builds(lambda a, b: f"fd00:{a}::{b}", st.integers(0, 3), st.integers(0, 3)),
)


@given(st.lists(st.one_of(FOURS, SIXES), max_size=8), ADDRESSES)
def test_the_hosts_of_all_networks_with_an_address(texts, address):
    networks = tuple((text, f"h{index}") for index, text in enumerate(texts))
    inside = [entry for entry in networks if ip_address(address) in ip_network(entry[0], strict=False)]
    inside.sort(key=lambda entry: -int(entry[0].partition("/")[2]))
    assert list(Cidrs(networks).hosts_at(address)) == [host for _, host in inside]


def test_what_is_no_address_is_in_none():
    networks = (("0.0.0.0/0", "a"), ("::/0", "b"))
    assert list(cidrs_of(networks).hosts_at("name.example")) == []
    assert list(cidrs_of(networks).hosts_at("192.0.2.1")) == ["a"] and list(cidrs_of(networks).hosts_at("::1")) == ["b"]
    assert cidrs_of(networks) is cidrs_of(networks)


def test_no_look_at_all_the_others(monkeypatch):
    found = Cidrs(tuple((f"10.{number >> 8}.{number & 255}.0/24", f"h{number}") for number in range(20_000)))
    assert len(found._by_prefix) == 1 and list(found.hosts_at("10.7.9.1")) == [f"h{7 * 256 + 9}"]
