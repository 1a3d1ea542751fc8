import pytest

from nodemesh.config.base import Duration, NetworkingWorkloadSelector, WorkloadSelector


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("1ms", 1),
        ("1s", 1000),
        ("1.5s", 1500),
        (".5s", 500),
        ("2.s", 2000),
        ("1h30m", 5_400_000),
        ("1m1s1ms", 61_001),
        ("10000us", 10),
        ("1000000ns", 1),
        ("24h", 86_400_000),
        ("0.25s", 250),
    ],
)
def test_durations(text, milliseconds):
    assert Duration.parse(text) == milliseconds


@pytest.mark.parametrize("text", ["", "1", "s", "-1s", "1.5", "1 s", "1d", "1s ", "s1", "1..5s", "٣s"])
def test_no_durations(text):
    with pytest.raises(ValueError, match="number with a unit"):
        Duration.parse(text)


@pytest.mark.parametrize("text", ["1us", "1.5ms", "0.0001s"])
def test_parts_of_a_millisecond_are_refused(text):
    with pytest.raises(ValueError, match="whole milliseconds"):
        Duration.parse(text)


def test_endless_durations_are_refused():
    with pytest.raises(ValueError, match="10000 years"):
        Duration.parse("9" * 30 + "s")


def test_both_selectors_answer_to_both_names():
    assert WorkloadSelector(match_labels={"a": "b"}).labels == {"a": "b"}
    assert NetworkingWorkloadSelector(labels={"a": "b"}).match_labels == {"a": "b"}
