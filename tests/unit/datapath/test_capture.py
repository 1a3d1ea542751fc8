"""What the kernel finds in a set of ranges is what the annotations say; see tests/netns/test_datapath_capture.py."""

from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st

from nodemesh.config.capture import LIMIT, Capture
from nodemesh.datapath.capture import Place, ranges
from nodemesh.datapath.maps import LAYOUTS, PODS, Range, pack_address

#: Few and overlapping, so that they meet.
NETWORKS = (
    *("0.0.0.0/0", "10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.3/32"),
    *("::/0", "::/64", "fd00::/8", "fd00::1/128"),
)
ADDRESSES = ("10.1.2.3", "10.1.2.4", "10.1.9.9", "10.9.9.9", "192.0.2.1", "fd00::1", "fd00::2", "2001:db8::1", "::5")
PORTS = (80, 443, 3306)

networks = st.lists(st.sampled_from(NETWORKS), unique=True, max_size=4).map(tuple)
ports = st.lists(st.sampled_from(PORTS), unique=True, max_size=2).map(tuple)
captures = st.builds(
    Capture, include_ranges=st.none() | networks, exclude_ranges=networks, include_ports=ports, exclude_ports=ports
)


def found(places: dict[Place, Range], address: str, port: int) -> Range:
    """As the kernel's trie finds it: the longest prefix."""
    dialled = int.from_bytes(pack_address(address))
    covering = [
        (prefix, verdict)
        for (network, prefix, at), verdict in places.items()
        if at == port and dialled >> (128 - prefix) == int.from_bytes(network) >> (128 - prefix)
    ]
    return max(covering)[1] if covering else Range.NONE


@given(captures, st.sampled_from(ADDRESSES), st.sampled_from(PORTS))
def test_the_trie_says_what_the_annotations_say(capture, address, port):
    places = dict(ranges(capture))
    by_port, by_address = found(places, address, port), found(places, address, 0)
    taken = Range.EXCLUDED not in (by_port, by_address) and Range.INCLUDED in (by_port, by_address)
    assert taken == (capture.why_not(address, port) == ""), (ip_address(address), places)


def test_as_many_pods_as_a_node_has_find_room_with_all_that_each_may_name():
    most = Capture(exclude_ranges=(*(f"10.{n}.0.0/16" for n in range(LIMIT - 1)), "::/8"))
    assert PODS * len(ranges(most)) == LAYOUTS["ranges"].size


def test_one_port_left_out_takes_two_entries():
    assert ranges(Capture(exclude_ports=(3306,))) == {
        (bytes(16), 0, 0): Range.INCLUDED,
        (bytes(16), 0, 3306): Range.EXCLUDED,
    }
