"""Labels of records: flags in Envoy's order."""

from nodemesh.reasons import TEXTS, Reason
from nodemesh.telemetry.labels import FLAG_ORDER, FLAGS


def test_every_reasons_flag_has_its_place():
    flags = {text.flag for text in TEXTS.values()} - {"-"}
    assert flags == set(FLAG_ORDER)
    assert all(FLAGS[(reason,)] in flags | {""} for reason in Reason)


def test_flags_come_once_and_in_envoys_order():
    assert FLAGS[(Reason.UPSTREAM_RETRY_LIMIT_EXCEEDED, Reason.UPSTREAM_CONNECTION_FAILURE)] == "UF,URX"
    assert FLAGS[(Reason.RESPONSE_TIMEOUT, Reason.FAULT_DELAY, Reason.PER_TRY_TIMEOUT)] == "UT,DI"
