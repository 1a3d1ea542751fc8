"""Deadlines, read and written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodemesh.proxy.grpc.timeout import read_timeout, write_timeout


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(b"1H", 3600.0), (b"2M", 120.0), (b"3S", 3.0), (b"500m", 0.5), (b"250u", 0.00025), (b"7n", 7e-9), (b"0S", 0.0),
     (b"99999999H", 99999999 * 3600.0)],
)  # fmt: skip
def test_reading(value, seconds):
    assert read_timeout(value) == pytest.approx(seconds)


@pytest.mark.parametrize("value", [b"", b"1", b"S", b"1s", b"-1S", b"123456789S", b"1.5S", b"1S ", b"\xb2S"])
def test_what_is_no_deadline(value):
    assert read_timeout(value) < 0.0


@pytest.mark.parametrize(
    ("seconds", "value"),
    [(0.0, b"0n"), (-1.0, b"0n"), (0.05, b"50000000n"), (0.5, b"500000u"), (100.0, b"100000m"), (1e6, b"1000000S"),
     (1e9, b"277777H"), (1e30, b"99999999H")],
)  # fmt: skip
def test_writing(seconds, value):
    assert write_timeout(seconds) == value


@given(st.floats(0.0, 3.5e11))
def test_never_more_than_what_is_left(seconds):
    again = read_timeout(write_timeout(seconds))
    assert again <= seconds * (1 + 1e-9) and again >= seconds * 0.9998 - 1e-9
