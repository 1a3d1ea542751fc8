"""Every field and enum value of Istio's API (inventory.txt: `message NAME FIELD`) is in the model and in the table."""

from functools import cache
from pathlib import Path

import pytest

from nodemesh.config import (
    destinationrule,
    gateway,
    meshconfig,
    serviceentry,
    sidecar,
    telemetry,
    virtualservice,
    workload,
)
from nodemesh.config.kinds import ISTIO_KINDS
from nodemesh.config.schema import walk
from nodemesh.config.support import rows

INVENTORY = [line.split() for line in (Path(__file__).parent / "inventory.txt").read_text().splitlines()]

#: Istio's message names where the struct is called otherwise.
STRUCTS = {
    "VirtualService": virtualservice.VirtualServiceSpec,
    "DestinationRule": destinationrule.DestinationRuleSpec,
    "Gateway": gateway.GatewaySpec,
    "ServiceEntry": serviceentry.ServiceEntrySpec,
    "WorkloadEntry": workload.WorkloadEntrySpec,
    "WorkloadGroup": workload.WorkloadGroupSpec,
    "Sidecar": sidecar.SidecarSpec,
    "WorkloadGroup.ObjectMeta": workload.GroupMeta,
    "LocalityLoadBalancerSetting.Failover": destinationrule.LocalityFailover,
    "ZoneAwareLoadBalancerSetting.Failover": destinationrule.ZoneAwareFailover,
    "ClientTLSSettings.TLSmode": destinationrule.ClientTLSMode,
    "ServerTLSSettings.TLSmode": gateway.ServerTLSMode,
    "WorkloadSelector": sidecar.NetworkingWorkloadSelector,
    "Telemetry": telemetry.TelemetrySpec,
    "Metrics": telemetry.TelemetryMetrics,
    "AccessLogging.Filter": telemetry.LogFilter,
    "MetricsOverrides.TagOverride.Operation": telemetry.TagOperation,
    "OutboundTrafficPolicy.Mode": meshconfig.OutboundMode,
    "ServiceEntry.Location": serviceentry.EntryLocation,
    "ServiceEntry.Resolution": serviceentry.EntryResolution,
}
MODULES = (virtualservice, destinationrule, gateway, serviceentry, workload, sidecar, telemetry)

#: Messages without a struct: a kind that is set aside, and a status that is not read. They have rows all the same.
ROWS_ONLY = {
    "ProxyConfig": ("ProxyConfig", "spec."),
    "ProxyImage": ("ProxyConfig", "spec.image."),
    "ServiceEntryStatus": ("ServiceEntry", "status."),
    "ServiceEntryAddress": ("ServiceEntry", "status.addresses[]."),
}


def struct_of(message):
    if message in STRUCTS:
        return STRUCTS[message]
    name = message.rpartition(".")[2]
    return next(getattr(module, name) for module in MODULES if hasattr(module, name))


@cache
def table():
    return {(row.kind, row.path) for row in rows()}


@cache
def fields():
    """Where each field of a struct stands: (struct, JSON name) to the table's keys."""
    found = {}
    for kind in ISTIO_KINDS:
        for path, owner, name, _ in walk(kind.spec):
            found.setdefault((owner, name), set()).add((kind.name, path))
    return found


@pytest.mark.parametrize("message", dict.fromkeys(message for _, message, _ in INVENTORY))
def test_in_the_model_and_in_the_table(message):
    for shape, owner, name in INVENTORY:
        if owner != message:
            continue
        if message in ROWS_ONLY:
            kind, prefix = ROWS_ONLY[message]
            assert (kind, prefix + name) in table()
        elif shape == "enum":
            assert name in {str(value) for value in struct_of(message)}
        else:
            places = fields().get((struct_of(message).__name__, name))
            assert places, f"{message}.{name} is not in the model"
            assert places <= table(), f"{message}.{name} has no row"


def test_the_model_has_no_field_that_istio_has_not():
    known = {
        (struct_of(message).__name__, name)
        for shape, message, name in INVENTORY
        if shape == "message" and message not in ROWS_ONLY
    }
    known.add(("WorkloadSelector", "matchLabels"))  # istio.type.v1beta1, which the inventory names only
    assert set(fields()) == known
