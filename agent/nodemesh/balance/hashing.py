"""The hash of consistent hashing: xxHash64, as Envoy's ring and Maglev balancers use it.

Every worker, and a restarted one, must send a key to the same endpoint, so Python's own seeded hash is of no use."""

from __future__ import annotations

from collections.abc import Sequence

from xxhash import xxh64_hexdigest, xxh64_intdigest


def hash_key(value: bytes, seed: int = 0) -> int:
    """64 bits for one value: a cookie, a query parameter, the text of a source IP."""
    return xxh64_intdigest(value, seed)


def hash_header(values: Sequence[bytes]) -> int:
    """64 bits for all values of a header; their order does not matter."""
    if len(values) == 1:
        return xxh64_intdigest(values[0])
    result = 0
    for value in sorted(values):
        result = xxh64_intdigest(value, result)
    return result


def cookie_value(source: bytes, destination: bytes) -> bytes:
    """The value of a cookie that the proxy makes for a client without one, from the connection's two addresses."""
    return xxh64_hexdigest(source + destination).encode()
