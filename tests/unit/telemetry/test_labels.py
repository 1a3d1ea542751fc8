"""Response flags in Envoy's order."""

from tests.unit.telemetry.samples import request

from nodemesh.reasons import TEXTS, Reason
from nodemesh.telemetry.labels import FLAG_ORDER, flags_of


def test_every_flag_has_its_place():
    assert {text.flag for text in TEXTS.values()} - {"-"} <= set(FLAG_ORDER)


def test_flags_come_in_envoys_order_and_once():
    found = request()
    found.reasons = (Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED, Reason.UPSTREAM_CONNECTION_FAILURE)
    assert flags_of(found) == "UF,URX"
    found.reasons = (Reason.ROUTE_NOT_FOUND, Reason.HOST_NOT_FOUND)
    assert flags_of(found) == "NR"
    found.reasons = (Reason.DIRECT_RESPONSE,)
    assert flags_of(found) == "-"
