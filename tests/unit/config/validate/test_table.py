from nodemesh.config.kinds import KINDS
from nodemesh.config.validate.table import RULES


def test_the_rules_are_for_kinds_that_are_read():
    assert set(RULES) <= KINDS.keys()
    structural = {"GatewayClass", "ReferenceGrant", "XMesh"}  # types and bounds say all
    assert {key for key, kind in KINDS.items() if kind.strict and kind.name not in structural} <= set(RULES)


def test_dry_run_is_refused_on_istios_kinds_alone(told):
    note = {"istio.io/dry-run": "true"}
    found = told("DestinationRule", {"host": "a"}, annotations=note)
    assert found == ['dry-run metadata.annotations["istio.io/dry-run"]']
    assert told("Service", {"ports": [{"port": 80}]}, api_version="v1", annotations=note) == []
