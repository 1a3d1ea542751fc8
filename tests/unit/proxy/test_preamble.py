"""The PROXY protocol as it is written, read by the reader that gateways have."""

import pytest

from nodemesh.proxy.accept.proxy_protocol import read_header
from nodemesh.proxy.preamble import write_header


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("source, destination", [("10.1.0.9:4000", "10.96.0.1:80"), ("[fd00::9]:4000", "[fd00::1]:80")])
def test_what_is_written_is_read(version, source, destination):
    header = write_header(version, source, destination)
    assert read_header(header) == (len(header), source)


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    "source, destination",
    [("", ""), ("10.1.0.9:4000", "reviews:80"), ("10.1.0.9:4000", "[fd00::1]:80"), ("unix:///a", "10.1.0.1:80")],
)
def test_without_two_addresses_of_one_family_the_connections_own_count(version, source, destination):
    header = write_header(version, source, destination)
    assert read_header(header) == (len(header), "")


def test_the_forms_are_those_of_the_specification():
    assert write_header(1, "10.1.0.9:4000", "10.96.0.1:80") == b"PROXY TCP4 10.1.0.9 10.96.0.1 4000 80\r\n"
    assert write_header(1, "", "") == b"PROXY UNKNOWN\r\n"
    assert write_header(2, "10.1.0.9:4000", "10.96.0.1:80")[12:] == (
        b"\x21\x11\x00\x0c\x0a\x01\x00\x09\x0a\x60\x00\x01\x0f\xa0\x00\x50"
    )
    assert write_header(2, "", "")[12:] == b"\x20\x00\x00\x00"
