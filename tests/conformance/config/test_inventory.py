"""Every field and enum value of Istio's API (inventory.txt: `message NAME FIELD`) is in the model and in the table."""

from pathlib import Path

import pytest

from nodemesh.config import destinationrule, gateway, serviceentry, sidecar, virtualservice, workload
from nodemesh.config.decode import type_of
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
}
MODULES = (virtualservice, destinationrule, gateway, serviceentry, workload, sidecar)

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


@pytest.mark.parametrize("line", INVENTORY, ids=".".join)
def test_in_the_model_and_in_the_table(line):
    shape, message, name = line
    if message in ROWS_ONLY:
        kind, prefix = ROWS_ONLY[message]
        assert (kind, prefix + name) in {(row.kind, row.path) for row in rows()}
        return
    struct = struct_of(message)
    if shape == "enum":
        assert name in {str(value) for value in struct}
        return
    assert name in {field.encode_name for field in type_of(struct).fields}
    paths = {
        (kind.name, path)
        for kind in ISTIO_KINDS
        for path, owner, field, _ in walk(kind.spec)
        if owner == struct.__name__ and field == name
    }
    assert paths
    assert paths <= {(row.kind, row.path) for row in rows()}


def test_the_model_has_no_field_that_istio_has_not():
    known = {
        (struct_of(message).__name__, name)
        for shape, message, name in INVENTORY
        if shape == "message" and message not in ROWS_ONLY
    }
    known.add(("WorkloadSelector", "matchLabels"))  # istio.type.v1beta1, which the inventory names only
    ours = {(owner, name) for kind in ISTIO_KINDS for _, owner, name, _ in walk(kind.spec)}
    assert ours == known
