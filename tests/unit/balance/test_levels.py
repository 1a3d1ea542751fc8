import pytest

from nodemesh.balance.levels import availability, loads, locality_weight, panic_loads, panics

#: percent of serving endpoints by priority -> percent of traffic: the tables of Envoy's page "Priority levels"
ENVOY_PRIORITIES = [
    ((100, 100), (100, 0)),
    ((72, 100), (100, 0)),
    ((71, 100), (99, 1)),
    ((50, 100), (70, 30)),
    ((25, 100), (35, 65)),
    ((0, 100), (0, 100)),
    ((72, 72), (100, 0)),
    ((71, 71), (99, 1)),
    ((50, 50), (70, 30)),
    ((25, 25), (50, 50)),
    ((100, 100, 100), (100, 0, 0)),
    ((72, 72, 100), (100, 0, 0)),
    ((71, 71, 100), (99, 1, 0)),
    ((50, 50, 100), (70, 30, 0)),
    ((25, 100, 100), (35, 65, 0)),
    ((25, 25, 100), (35, 35, 30)),
    ((25, 25, 20), (37, 35, 28)),  # the page says 36, 36: Envoy itself gives the first level what rounding leaves
]


@pytest.mark.parametrize(("serving", "expected"), ENVOY_PRIORITIES)
def test_loads_are_those_of_envoys_table(serving, expected):
    assert tuple(loads([availability(percent, 100) for percent in serving])) == expected


def test_no_level_gets_load_when_none_serves():
    assert loads([0, 0]) == [0, 0]


def test_rounding_goes_to_the_first_level_that_serves():
    assert loads([0, 7, 21, 5]) == [0, 22, 63, 15]


@pytest.mark.parametrize(
    ("serving", "threshold", "expected"),
    [
        ((25, 100), 50, (False, False)),  # together they carry everything
        ((25, 25), 50, (True, True)),
        ((5, 65), 50, (True, False)),
        ((0, 0), 50, (True, True)),
        ((0, 0), 0, (False, False)),  # panic is off
        ((25, 25), 0, (False, False)),
        ((50,), 50, (False,)),
        ((49,), 50, (True,)),
    ],
)
def test_panic_is_per_level_and_only_where_all_together_are_too_weak(serving, threshold, expected):
    assert tuple(panics(serving, [100] * len(serving), threshold)) == expected


def test_in_total_panic_size_alone_counts():
    assert panic_loads([1, 2]) == [34, 66]
    assert panic_loads([0, 3, 1]) == [0, 75, 25]
    assert panic_loads([0, 0]) == [0, 0]


@pytest.mark.parametrize(
    ("serving", "percent"), [(100, 33), (72, 33), (69, 33), (50, 26), (25, 15), (0, 0)]
)  # "Locality weighted load balancing": X weighs 1, Y weighs 2 and is whole
def test_localities_shrink_as_envoys_table_says(serving, percent):
    x = locality_weight(1, serving, 100)
    y = locality_weight(2, 100, 100)
    assert round(100 * x / (x + y)) == percent
