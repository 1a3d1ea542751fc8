"""What no rule says and statuses depend on: which certificates are good, and which addresses a Gateway has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class StatusFacts(Protocol):
    """Known to the agent that writes statuses; keys are `credential_key`s."""

    def certificate_fault(self, key: str) -> str:
        """Why a Secret is no pair of certificate and key; empty where it is."""

    def authority_fault(self, key: str) -> str:
        """Why a Secret or ConfigMap has no authority; empty where it has."""

    @property
    def addresses(self) -> Mapping[str, tuple[tuple[str, str], ...]] | None:
        """By Gateway: (type, value); None where nobody has looked."""


class AllIsWell:
    """Of a folder of rules nothing else is known."""

    addresses: Mapping[str, tuple[tuple[str, str], ...]] | None = None

    def certificate_fault(self, key: str) -> str:
        return ""

    def authority_fault(self, key: str) -> str:
        return ""
