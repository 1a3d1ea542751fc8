"""The self-test passes where the datapath works, says what is wrong where it does not, and leaves nothing."""

from nodemesh.datapath.attach import attached_pods
from nodemesh.datapath.probes import ProbeVerdict
from nodemesh.datapath.selftest import self_test


def left(node, maps):
    return (
        attached_pods(node.pins),
        maps.enrolled(),
        *(list(maps[name].keys()) for name in ("services", "flows")),
        list(node.lab.cgroup_root.glob("nodemesh-selftest-*")),
    )


NOTHING = (set(), {}, [], [], [])


def test_it_passes_where_all_is_well(node, maps):
    """RC-07."""
    finding = self_test(node.pins, node.lab.cgroup_root, beat=True)
    assert finding.verdict is ProbeVerdict.OK, finding
    assert left(node, maps) == NOTHING


def test_it_fails_without_a_heartbeat_and_says_what_the_app_got(node, maps):
    """RC-07."""
    maps.configure(heartbeat_limit=0)
    finding = self_test(node.pins, node.lab.cgroup_root)
    assert finding.verdict is ProbeVerdict.FAILED
    assert "Network is unreachable" in finding.found
    assert left(node, maps) == NOTHING


def test_it_fails_where_there_is_no_cgroup(node, maps, tmp_path):
    finding = self_test(node.pins, tmp_path / "absent")
    assert finding.verdict is ProbeVerdict.FAILED
    assert left(node, maps) == NOTHING
