"""Names of what is made for a Gateway: its own has up to 253 characters, labels and Services have 63 (GEP-1762)."""

from __future__ import annotations

import hashlib

#: The longest label value and Service name.
LONGEST = 63
DIGEST = 10


def shortened(text: str) -> str:
    """The text, or its beginning with a digest of the whole."""
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()[:DIGEST]
    return f"{text[: LONGEST - DIGEST - 1].rstrip('-.')}-{digest}"


def label_value(gateway: str) -> str:
    return shortened(gateway)


def object_name(gateway: str, gateway_class: str) -> str:
    return shortened(f"{gateway}-{gateway_class}".replace(".", "-"))
