import pytest

from nodemesh.config.capture import EVERYTHING, LIMIT, PREFIX, Capture, read_capture
from nodemesh.config.load import load_text
from nodemesh.config.problems import Severity


def capture(**annotations: str) -> Capture:
    found, faults = read_capture({PREFIX + name: value for name, value in annotations.items()})
    assert faults == ()
    return found


def test_without_annotations_everything_is_taken():
    assert read_capture({"sidecar.istio.io/inject": "true"}) == (EVERYTHING, ())
    assert capture(includeOutboundIPRanges="*") == EVERYTHING


@pytest.mark.parametrize(
    ("annotations", "taken", "left"),
    [
        ({"excludeOutboundPorts": "3306, 6379"}, [("10.0.0.1", 80)], [("10.0.0.1", 3306), ("fd00::1", 6379)]),
        ({"excludeOutboundIPRanges": "10.1.0.0/16,fd00::/8"}, [("10.2.0.1", 80)], [("10.1.9.9", 80), ("fd00::1", 80)]),
        ({"includeOutboundIPRanges": "10.0.0.0/8"}, [("10.1.9.9", 80)], [("11.0.0.1", 80), ("fd00::1", 80)]),
        ({"includeOutboundIPRanges": ""}, [], [("10.0.0.1", 80)]),
        ({"includeOutboundIPRanges": "", "includeOutboundPorts": "80"}, [("10.0.0.1", 80)], [("10.0.0.1", 81)]),
        # What is left out goes before what is taken in, ports before networks.
        ({"excludeOutboundPorts": "80", "includeOutboundPorts": "80"}, [], [("10.0.0.1", 80)]),
        (
            {"excludeOutboundIPRanges": "10.0.0.0/8", "includeOutboundPorts": "80"},
            [("11.0.0.1", 80)],
            [("10.0.0.1", 80)],
        ),
        (
            {"excludeOutboundIPRanges": "10.0.0.0/8", "includeOutboundIPRanges": "10.1.0.0/16,192.168.0.0/16"},
            [("192.168.0.1", 80)],
            [("10.1.0.1", 80), ("10.2.0.1", 80)],
        ),
        ({"excludeOutboundIPRanges": "::/0"}, [("10.0.0.1", 80)], [("fd00::1", 80)]),
    ],
)
def test_what_is_taken_and_what_is_left_alone(annotations, taken, left):
    found = capture(**annotations)
    assert [found.why_not(*one) for one in taken] == [""] * len(taken)
    assert all(PREFIX in found.why_not(*one) for one in left)


def test_the_sentence_names_the_annotation_and_the_item():
    found = capture(excludeOutboundIPRanges="10.1.0.0/16")
    assert found.why_not("10.1.2.3", 80) == f"the pod's annotation {PREFIX}excludeOutboundIPRanges has 10.1.0.0/16"


def test_unreadable_items_are_skipped_and_the_others_hold():
    found, faults = read_capture(
        {
            PREFIX + "excludeOutboundPorts": "3306,mysql,70000",
            PREFIX + "excludeOutboundIPRanges": "10.0.0.1,10.1.2.3/16,*",
            PREFIX + "includeOutboundIPRanges": "everything",
        }
    )
    assert found == Capture(exclude_ports=(3306,), exclude_ranges=("10.1.0.0/16",))
    assert [fault.message.partition(";")[0] for fault in faults] == [
        "`everything` is not a network",
        "`10.0.0.1` is not a network",
        "`*` is not a network",
        "`mysql` is not a port",
        "`70000` is not a port",
    ]


def test_a_warning_has_the_place_and_the_pod_stays():
    text = f"""apiVersion: v1
kind: Pod
metadata:
  name: a
  annotations:
    {PREFIX}excludeOutboundPorts: "3306,mysql"
spec: {{}}
"""
    loaded = load_text(text, "pod.yaml")
    (problem,) = loaded.problems
    assert (problem.severity, problem.code, problem.refused) == (Severity.WARNING, "bad-annotation", False)
    assert str(problem.location) == "pod.yaml:6:5"
    assert "`mysql` is not a port; right is a number from 1 to 65535" in problem.message
    assert len(loaded.objects) == 1


def test_what_is_in_force_is_shown_by_the_short_names():
    assert capture(excludeOutboundPorts="22, 25", includeOutboundIPRanges="").shown() == {
        "includeOutboundIPRanges": "",
        "excludeOutboundPorts": "22,25",
    }
    assert EVERYTHING.shown() == {}


def test_more_networks_and_ports_than_a_pod_may_name_refuse_the_pod_and_are_not_read():
    few = ",".join(f"10.{number}.0.0/16" for number in range(LIMIT - 1))
    assert capture(excludeOutboundIPRanges=few, excludeOutboundPorts="1").refused == ""
    for annotations in (
        {"excludeOutboundIPRanges": few, "excludeOutboundPorts": "1,2"},
        {"includeOutboundIPRanges": "not one of these is read," * 16_000},
    ):
        found, (fault,) = read_capture({PREFIX + name: value for name, value in annotations.items()})
        assert found == Capture(refused=found.refused)
        assert f"of which a pod may have {LIMIT}" in found.refused
        assert fault.message.startswith(found.refused) and next(iter(annotations)) in found.refused
