"""Contents of certificate files and Secrets on their way from control to workers; what a Secret's keys mean."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

#: Keys of a Secret in the order in which Istio looks: its generic ones, then those of `kubernetes.io/tls` with what
#: cert-manager writes beside them. Of a pair both halves count, or neither.
PAIRS: Final = (("cert", "key"), ("tls.crt", "tls.key"))
AUTHORITY: Final = ("cacert", "ca.crt")
REVOKED: Final = ("crl", "ca.crl")
KEYS: Final = frozenset((*PAIRS[0], *PAIRS[1], *AUTHORITY, *REVOKED))

#: A Secret beside another one that has only the authority (Istio's Gateway, credentialName).
AUTHORITY_SUFFIX: Final = "-cacert"


class Materials(msgspec.Struct, frozen=True):
    """Contents of the files by path, and of the Secrets and ConfigMaps by their `credential_key`. It has no readable
    form, so that no log shows a key."""

    files: Mapping[str, bytes] = {}
    secrets: Mapping[str, Mapping[str, bytes]] = {}

    def __repr__(self) -> str:
        return f"<Materials of {len(self.files)} files and {len(self.secrets)} Secrets>"


class _Packed(msgspec.Struct, frozen=True):
    """Materials on their way: what several paths lead to is there once."""

    files: Mapping[str, int]
    contents: tuple[bytes, ...]
    secrets: Mapping[str, Mapping[str, bytes]]


def pack(materials: Materials) -> bytes:
    numbers: dict[bytes, int] = {}
    files = {path: numbers.setdefault(content, len(numbers)) for path, content in materials.files.items()}
    return msgspec.msgpack.encode(_Packed(files, tuple(numbers), materials.secrets))


def unpack(data: bytes) -> Materials:
    """Raises msgspec.DecodeError."""
    packed = msgspec.msgpack.decode(data, type=_Packed)
    return Materials({path: packed.contents[number] for path, number in packed.files.items()}, packed.secrets)


def pair_of(secret: Mapping[str, bytes]) -> tuple[bytes, bytes]:
    return next(((secret[crt], secret[key]) for crt, key in PAIRS if secret.get(crt) and secret.get(key)), (b"", b""))


def first_of(secret: Mapping[str, bytes], keys: tuple[str, ...]) -> bytes:
    return next((secret[key] for key in keys if secret.get(key)), b"")
