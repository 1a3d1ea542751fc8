"""What every config struct is built from: the struct base, and the scalar types with their units."""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias

import msgspec

#: protobuf's integer types, with the ranges that Istio's CRDs give them.
Int32: TypeAlias = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
UInt32: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
UInt64: TypeAlias = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

_DURATION = re.compile(r"(?:(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+")
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")
_NANOSECONDS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_LONGEST = 315_576_000_000 * 1_000_000_000  # protobuf's Duration: 10,000 years


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True):
    """One message of the API: attributes in snake_case, JSON names in lowerCamelCase; absent fields are None."""


class Duration(int):
    """A length of time in whole milliseconds, written like `1.5s`, `500ms` or `1h30m` (protobuf and Go forms)."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """The duration that `text` says; ValueError, with a sentence, where it says none or a part of a millisecond."""
        if text == "0":
            return cls(0)
        if not _DURATION.fullmatch(text):
            raise ValueError("a duration is a number with a unit (ms, s, m or h), for instance 1.5s, 500ms or 1h30m")
        nanoseconds = 0
        for whole, fraction, unit in _DURATION_PART.findall(text):
            scale = _NANOSECONDS[unit]
            nanoseconds += int(whole or 0) * scale
            if fraction:
                nanoseconds += int(fraction) * scale // 10 ** len(fraction)
        if nanoseconds % 1_000_000:
            raise ValueError("durations are whole milliseconds")
        if nanoseconds > _LONGEST:
            raise ValueError("a duration is at most 10000 years")
        return cls(nanoseconds // 1_000_000)


class Base64(bytes):
    """Raw bytes, written in base64 (protobuf's JSON form of `bytes`)."""


class WorkloadSelector(Model, frozen=True, kw_only=True):
    """Selects the workloads of the own namespace that carry all these labels; none selects them all
    (istio.type.v1beta1, as DestinationRule has it)."""

    match_labels: dict[str, str] = {}

    @property
    def labels(self) -> dict[str, str]:
        return self.match_labels


class NetworkingWorkloadSelector(Model, frozen=True, kw_only=True):
    """The same with the field's older name (networking.istio.io, as ServiceEntry and Sidecar have it)."""

    labels: dict[str, str] = {}

    @property
    def match_labels(self) -> dict[str, str]:
        return self.labels


class CoreModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False):
    """A part of a core Kubernetes object: only what the mesh reads is declared, the rest is passed over."""
