"""What wrk says at its end."""

import pytest
from tests.bench.load import parse
from tests.bench.processes import Failed


def test_the_closing_line_is_read():
    seen = parse(
        '{"requests":1000,"microseconds":2000000,"bytes":5,"connect":1,"read":2,"write":4,"status":7,"timeout":8,'
        '"p50":110,"p99":220,"longest":330}'
    )
    assert (seen.rate, seen.dropped, seen.refused, seen.unanswered) == (500, 7, 7, 8)
    assert (seen.p50, seen.p99, seen.longest) == (110, 220, 330)


def test_anything_else_is_a_failure_that_quotes_it():
    with pytest.raises(Failed, match="unable to connect"):
        parse("unable to connect to 127.0.0.1:1")
