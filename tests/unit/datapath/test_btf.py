"""Offsets from BTF: a small one that is written here, byte by byte."""

import struct

import pytest

from nodemesh.datapath.btf import BtfError, offsets

STRINGS = b"\0sock\0sk_user_data\0sk_flags\0sk_psock\0sk\0int\0"


def name(text: str) -> int:
    return STRINGS.index(b"\0" + text.encode() + b"\0") + 1 if text else 0


def kind(number: int, count: int, text: str = "", size: int = 0, bitfields: bool = False) -> bytes:
    return struct.pack("=III", name(text), number << 24 | count | bitfields << 31, size)


def member(text: str, offset: int, bits: int = 0) -> bytes:
    return struct.pack("=III", name(text), 1, offset | bits << 24)


def btf(*types: bytes) -> bytes:
    body = b"".join(types)
    head = struct.pack("=HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), len(STRINGS))
    return head + body + STRINGS


#: Types of every length stand before the structs, since they have to be stepped over.
TYPES = (
    kind(1, 0, "int", 4) + bytes(4),
    kind(2, 0),  # pointer
    kind(3, 0) + bytes(12),  # array
    kind(6, 2) + bytes(16),  # enum of two
    kind(13, 3) + bytes(24),  # function of three
    kind(19, 1) + bytes(12),  # enum64 of one
    kind(4, 1, "", 8) + member("sk", 0),  # an anonymous struct is nobody's
    kind(4, 2, "sock", 800, bitfields=True) + member("sk_flags", 64, bits=3) + member("sk_user_data", 656 * 8),
    kind(4, 1, "sk_psock", 16) + member("sk", 8 * 8),
)


@pytest.fixture
def vmlinux(tmp_path):
    path = tmp_path / "vmlinux"
    path.write_bytes(btf(*TYPES))
    return path


def test_fields_are_found_by_struct_and_name(vmlinux):
    wanted = [("sock", "sk_user_data"), ("sk_psock", "sk")]
    assert offsets(wanted, vmlinux) == {("sock", "sk_user_data"): 656, ("sk_psock", "sk"): 8}


@pytest.mark.parametrize("field", [("sock", "sk"), ("sock", "sk_flags"), ("tcp_sock", "sk"), ("sk_psock", "absent")])
def test_what_is_not_there_or_no_whole_field_is_named(vmlinux, field):
    with pytest.raises(BtfError, match=f"the kernel has no {field[0]}.{field[1]}"):
        offsets([("sk_psock", "sk"), field], vmlinux)


def test_a_kernel_that_describes_nothing(tmp_path):
    with pytest.raises(BtfError, match="does not describe its types"):
        offsets([("sock", "sk_user_data")], tmp_path / "absent")


@pytest.mark.parametrize("data", [b"", b"\0" * 100, btf(*TYPES)[:120], btf(kind(31, 0))])
def test_what_is_no_btf_is_refused(tmp_path, data):
    path = tmp_path / "vmlinux"
    path.write_bytes(data)
    with pytest.raises(BtfError):
        offsets([("sock", "sk_user_data")], path)
