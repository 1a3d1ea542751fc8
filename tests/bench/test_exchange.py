"""The in-memory bench still drives the proxy: one request all the way."""

import os

from .exchange_job import BODY, Driver


def test_one_request_goes_all_the_way(tmp_path):
    log = os.open(tmp_path / "log", os.O_WRONLY | os.O_CREAT)
    asked, answered = Driver(log).request()
    os.close(log)
    assert b"x-mesh: bench" in asked and answered.startswith(b"HTTP/1.1 200") and answered.endswith(BODY)
