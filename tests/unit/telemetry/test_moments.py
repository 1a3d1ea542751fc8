"""Times by Envoy's formats; 0.0625 s are four digits and no rounding."""

import time

import pytest

from nodemesh.telemetry.moments import local_moment, moment


@pytest.mark.parametrize(
    ("pattern", "shown"),
    [
        ("", "2023-11-14T22:13:20.062Z"),
        ("%Y/%m/%d %H%M", "2023/11/14 2213"),
        ("%s", "1700000000"),
        ("%f", "062500000"),
        ("%1f %4f %9f", "0 0625 062500000"),
        ("%z", "+0000"),
        ("%%f 100%", "%f 100%"),
        ("%0f", time.strftime("%0f", time.gmtime(0))),  # as strftime has it
    ],
)
def test_a_time_by_its_format(pattern, shown):
    assert moment(pattern, 1_700_000_000.0625) == shown


def test_the_zone_of_this_machine(monkeypatch):
    monkeypatch.setenv("TZ", "XST-5:30")
    time.tzset()
    try:
        assert local_moment("", 1_700_000_000.0625) == "2023-11-15T03:43:20.062+0530"
        assert local_moment("%H %s", 1_700_000_000.0625) == "03 1700000000"
    finally:
        monkeypatch.undo()
        time.tzset()
