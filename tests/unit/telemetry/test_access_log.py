import os

import pytest
from tests.unit.telemetry.samples import line_of, request

from nodemesh.telemetry.access_log import BUFFER_LIMIT, WRITE_LIMIT, AccessLog, open_log
from nodemesh.telemetry.formatting import LogFormatter
from nodemesh.telemetry.values import FIELD_LIMIT


def test_lines_reach_the_file_when_flushed(tmp_path):
    fd = open_log(str(tmp_path / "log"))
    log = AccessLog(fd, LogFormatter("%REQ(:METHOD)%"))
    log.add([request(), request()])
    log.add([request()])
    assert (tmp_path / "log").read_bytes() == b""
    log.flush()
    assert (tmp_path / "log").read_bytes() == b"GET\n" * 3
    assert log.pending == 0
    os.close(fd)


def test_a_reader_that_does_not_read_loses_lines_and_blocks_nobody():
    read_end, write_end = os.pipe()
    log = AccessLog(write_end, LogFormatter("%REQ(:PATH)%" * 50))
    line = len(line_of(LogFormatter("%REQ(:PATH)%" * 50), request()))
    total = 0
    while log.lost == 0:
        log.add([request(), request()])
        log.flush()
        total += 2
    assert log.pending >= BUFFER_LIMIT
    os.set_blocking(read_end, False)
    got = b""
    while log.pending:
        got += os.read(read_end, 1 << 20)
        log.flush()
    while True:
        try:
            got += os.read(read_end, 1 << 20)
        except BlockingIOError:
            break
    assert len(got) == (total - log.lost) * line
    assert set(got.splitlines()) == {b"/reviews/1?full=1" * 50}
    os.close(read_end)
    os.close(write_end)


def test_a_vanished_reader_does_not_stop_the_worker():
    read_end, write_end = os.pipe()
    log = AccessLog(write_end, LogFormatter())
    os.close(read_end)
    log.add([request(), request()])
    log.flush()
    assert (log.lost, log.pending) == (2, 0)
    os.close(write_end)


def test_a_line_that_no_write_takes_is_cut_alone():
    read_end, write_end = os.pipe()
    log = AccessLog(write_end, LogFormatter("%REQ(:PATH)%"))
    long = request()
    long.path = b"/" * FIELD_LIMIT
    log.add([request(), long, request()])
    log.flush()
    short = b"/reviews/1?full=1\n"
    assert os.read(read_end, 1 << 20) == short + b"/" * (WRITE_LIMIT - 1) + b"\n" + short
    os.close(read_end)
    os.close(write_end)


def test_a_pipe_that_nobody_reads_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError):
        open_log(str(tmp_path / "pipe"))
