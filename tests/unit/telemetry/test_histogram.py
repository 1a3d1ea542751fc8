import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodemesh.telemetry.histogram import BOUNDS, Histogram

#: What is near a bound, on it, and beyond the last one.
VALUES = st.one_of(st.sampled_from(BOUNDS), st.floats(0.0, 10.0), st.floats(0.0, 1e9))


@given(st.lists(VALUES))
def test_each_value_is_in_the_bucket_whose_bound_it_does_not_pass(values: list[float]):
    histogram = Histogram()
    histogram.add(values[:3])
    histogram.add(values[3:])
    expected = [0] * (len(BOUNDS) + 1)
    for value in values:
        expected[next((index for index, bound in enumerate(BOUNDS) if value <= bound), len(BOUNDS))] += 1
    assert histogram.counts == expected
    assert histogram.sum == pytest.approx(sum(values))


def test_what_is_taken_is_counted_no_more():
    histogram = Histogram()
    histogram.add([0.5, 0.6])
    assert histogram.take() == ([1, 1] + [0] * (len(BOUNDS) - 1), 1.1)
    assert histogram.take() == ([0] * (len(BOUNDS) + 1), 0.0)
