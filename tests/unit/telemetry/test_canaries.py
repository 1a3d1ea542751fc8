"""Only what canaries ask of a rolled-out object's hosts is counted, and what of it failed."""

import pytest

from nodemesh.reasons import Reason
from nodemesh.registry.snapshot import Service
from nodemesh.routing.client import Client
from nodemesh.routing.decision import Owner, Rule
from nodemesh.routing.tables import StagedRollout, Tables
from nodemesh.telemetry.canaries import Canaries
from nodemesh.telemetry.record import ConnectionRecord, RequestRecord
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import ROLLOUTS, Totals

CANARY, OTHER = (Client(namespace="default", name="x", node=node) for node in "ab")
WEB, ELSE = (Service(host=host, name=host, namespace="default") for host in ("web", "else"))


def rollout(name="one", **more):
    return StagedRollout(
        id=name, kind="VirtualService", key="default/web", nodes=frozenset({"a"}), hosts=("web",), **more
    )


def request(status=200, client=CANARY, service=WEB, grpc=-1, copy=False, owner=""):
    record = RequestRecord(client)
    record.status, record.service, record.grpc_status, record.is_copy = status, service, grpc, copy
    if owner:
        record.rule = Rule(owner=Owner(kind="VirtualService", namespace="default", name=owner))
    return record


def counted(*records):
    canaries = Canaries([rollout()])
    canaries.add(records)
    return canaries.counts.get("one", (0, 0))


@pytest.mark.parametrize(
    ("record", "count"),
    [
        (request(), (1, 0)),
        (request(404), (1, 0)),
        (request(500), (1, 1)),
        (request(0), (1, 1)),
        (request(200, grpc=0), (1, 0)),
        (request(200, grpc=5), (1, 0)),
        (request(200, grpc=14), (1, 1)),
        (request(500, client=OTHER), (0, 0)),
        (request(500, service=ELSE), (0, 0)),
        (request(500, service=None), (0, 0)),
        (request(500, service=None, owner="web"), (1, 1)),
        (request(500, service=ELSE, owner="other"), (0, 0)),
        (request(500, copy=True), (0, 0)),
    ],
)
def test_what_counts(record, count):
    assert counted(record) == count


def test_connections_count_as_requests():
    good, bad = ConnectionRecord(CANARY), ConnectionRecord(CANARY)
    good.service = bad.service = WEB
    bad.reasons = (Reason.UPSTREAM_CONNECTION_FAILURE,)
    assert counted(good, bad) == (2, 1)


def test_a_worker_hands_over_what_it_counted_once_whatever_tables_come():
    telemetry, totals = Telemetry(), Totals()
    telemetry.see(Tables(rollouts=(rollout(),)))
    telemetry.record(request(500))
    telemetry.see(Tables(rollouts=(rollout(), rollout("two"))))
    telemetry.record(request())
    totals.add(telemetry.dump(), 0.0)
    assert totals.canaries == {"one": (2, 1), "two": (1, 0)}
    telemetry.see(Tables())
    telemetry.record(request(500))
    totals.add(telemetry.dump(), 0.0)
    assert totals.canaries == {"one": (2, 1), "two": (1, 0)}


def test_what_is_kept_of_old_rollouts_is_bounded():
    totals = Totals()
    for number in range(ROLLOUTS + 10):
        telemetry = Telemetry()
        telemetry.see(Tables(rollouts=(rollout(f"r{number}"),)))
        telemetry.record(request())
        totals.add(telemetry.dump(), 0.0)
    assert len(totals.canaries) == ROLLOUTS and f"r{ROLLOUTS + 9}" in totals.canaries and "r0" not in totals.canaries
