"""Which requests are asked for."""

import pytest
from multidict import MultiDict
from tests.unit.telemetry.samples import request

from nodemesh.admin.chosen import RECENT, chosen, newest, wish_of
from nodemesh.routing.question import QuestionError
from nodemesh.telemetry.decision_record import describe
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals


def asked(status: int = 200, path: bytes = b"/a", started: float = 0.0):
    record = request(status=status)
    record.path, record.started = path, started
    return record


def totals_of(*records) -> Totals:
    telemetry, totals = Telemetry(), Totals()
    for record in records:
        telemetry.record(record)
    totals.add(telemetry.dump(), 0.0)
    return totals


def told(query: dict[str, str], *records) -> list[int]:
    return [record.status for record in chosen(totals_of(*records), wish_of(MultiDict(query)))]


def test_each_part_of_a_question_chooses():
    fine, broken = asked(), asked(503, b"/broken?token=secret")
    known = describe(fine)
    namespace = known.client.partition("/")[0]
    assert told({}, fine, broken) == [503, 200], "newest first"
    for query, found in (
        ({"status": "503"}, [503]),
        ({"status": "5xx"}, [503]),
        ({"status": "2xx"}, [200]),
        ({"status": "0"}, []),
        ({"status": "500"}, []),
        ({"path": "/bro"}, [503]),
        ({"failed": "1"}, [503]),
        ({"client": known.client}, [503, 200]),
        ({"client": f"{namespace}/{known.workload}"}, [503, 200]),
        ({"client": f"{namespace}/nobody"}, []),
        ({"namespace": namespace}, [503, 200]),
        ({"namespace": "other"}, []),
        ({"host": known.host}, [503, 200]),
        ({"host": ".".join(known.host.split(".")[:2])}, [503, 200]),
        ({"host": known.host[:3]}, []),
    ):
        assert told(query, fine, broken) == found, query


def test_what_may_be_secret_is_not_shown():
    (record,) = chosen(totals_of(asked(path=b"/a?token=secret")), wish_of(MultiDict()))
    assert record.path == "/a?…"


@pytest.mark.parametrize("status", ["abc", "5", "6xx", "5xx,4xx", "99"])
def test_a_status_that_is_none_is_said(status):
    with pytest.raises(QuestionError, match="is no status; write 503, 5xx"):
        wish_of(MultiDict({"status": status}))


def test_those_of_several_nodes_are_one_list_of_bounded_length():
    records = [describe(asked(started=float(number))) for number in range(RECENT)]
    found = newest([records, records])
    assert len(found) == RECENT and [record.started for record in found[:4]] == [255.0, 255.0, 254.0, 254.0]
