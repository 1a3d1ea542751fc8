"""The in-memory bench still drives the proxy: one request all the way."""

import os

from .exchange_http2_job import Calls
from .exchange_job import BODY, Driver
from .upstream import MESSAGE, framed


def test_one_request_goes_all_the_way(tmp_path):
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    asked, answered = Driver(log).request()
    os.close(log)
    assert b"x-mesh: bench" in asked and answered.startswith(b"HTTP/1.1 200") and answered.endswith(BODY)


def test_one_call_goes_all_the_way_and_comes_back_as_trailers(tmp_path):
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    calls = Calls(log)
    for _ in range(3):
        asked, answered = calls.request()
        assert framed(MESSAGE) in asked and framed(MESSAGE) in answered
    os.close(log)
