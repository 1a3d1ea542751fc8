"""When certificates end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

BEGIN: Final = b"-----BEGIN CERTIFICATE-----"


def first_end(texts: Iterable[bytes]) -> float | None:
    """When the first of all the certificates in these PEM texts ends, in seconds since the epoch; None where there is
    none. What cannot be read is somebody else's finding."""
    ends: list[float] = []
    for text in texts:
        if text.find(BEGIN) >= 0:
            from cryptography import x509  # 7 MB that a node without certificates is spared

            try:
                ends += [found.not_valid_after_utc.timestamp() for found in x509.load_pem_x509_certificates(text)]
            except ValueError:
                continue
    return min(ends, default=None)
