"""Hosts and addresses that a namespace's objects claim of another namespace's."""

from __future__ import annotations

from ...config.meta import Meta, Object
from ..claims import claimants, claims_of_rules, claims_of_service, rules_of_tenants
from .findings import LintFindings


def check(findings: LintFindings) -> None:
    snapshot, tables = findings.snapshot, findings.tables
    for service in claimants(tables):
        # the snapshot has the entry as what it makes; its place is known
        item = Object(
            kind=service.kind, meta=Meta(name="", namespace=service.namespace), spec=None, location=service.location
        )
        for claim in claims_of_service(service, tables):
            message = f"it claims `{claim.what}`, which is not its namespace's: {claim.sentence}"
            findings.warn("address-of-another", item, claim.path, message)
    for virtual_service in rules_of_tenants(tables):
        for claim in claims_of_rules(virtual_service, tables):
            message = f"it claims `{claim.what}`, which is not its namespace's: {claim.sentence}"
            findings.warn("host-of-another", snapshot.virtual_services[virtual_service.key], claim.path, message)
