"""Deadlines of gRPC's clients."""

import pytest

from nodemesh.proxy.grpc.timeout import read_timeout


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
