"""What h2load says at its end."""

import pytest
from tests.bench.h2load import parse
from tests.bench.processes import Failed

SAID = """finished in 1.50s, 4000.00 req/s, 703.38KB/s
requests: 4007 total, 4012 started, 4007 done, 4000 succeeded, 7 failed, 5 errored, 2 timeout
status codes: 3990 2xx, 1 3xx, 4 4xx, 5 5xx
traffic: 703.38KB (720264) total, 460.94KB (472000) headers (space savings 36.90%), 39.06KB (40000) data
"""


def test_the_summary_is_read():
    seen = parse(SAID, [*range(99, 0, -1), 1000])
    assert (seen.requests, seen.seconds, seen.bytes) == (4007, 1.5, 720264)
    assert (seen.dropped, seen.unanswered, seen.refused) == (7, 2, 9)
    assert (seen.p50, seen.p99, seen.longest) == (51, 1000, 1000)


def test_anything_else_is_a_failure_that_quotes_it():
    with pytest.raises(Failed, match="could not connect"):
        parse("could not connect to host", [])
    with pytest.raises(Failed, match="finished in"):
        parse(SAID, [])
