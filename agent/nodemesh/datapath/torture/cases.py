"""The cases of the torture. Each is one habit of real apps that sockmap can break: NONBLOCKING ones belong to apps
whose bytes skip TCP, BLOCKING ones to apps that must have been left on TCP. A case returns what went wrong, or
nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import select
import signal
import socket
import struct
import tempfile
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from .client import (
    BOUND,
    COUNT,
    COUNTED,
    DIGEST,
    DIGEST_ANSWER,
    ECHO,
    FIONREAD,
    FLOOD,
    GIVE,
    GIVE_AND_CLOSE,
    LATE_DIGEST,
    NUMBER,
    ORDER,
    ORDER_ANSWER,
    QUOTE,
    RESET,
    SPEAKS_FIRST,
    TIMEOUT,
    App,
    lost,
    pattern,
    wait,
)


class Case(NamedTuple):
    name: str
    times: int
    run: Callable[[App], str]


# --- the ends of connections


def half_close(app: App) -> str:
    with app.dial(DIGEST) as sock:
        app.send(sock, b"x" * 640)
        sock.shutdown(socket.SHUT_WR)
        return lost(640, DIGEST_ANSWER.unpack(app.receive_all(sock, DIGEST_ANSWER.size))[0])


def half_close_with_answers_unread(app: App) -> str:
    with app.dial(QUOTE) as sock:
        app.send(sock, b"a" * 64 * 3)
        time.sleep(0.004)
        sock.shutdown(socket.SHUT_WR)
        return lost(300, len(app.receive_all(sock, 301)))


def half_close_with_answers_coming(app: App) -> str:
    with app.dial(QUOTE) as sock:
        app.send(sock, b"a" * 64 * 40)
        sock.shutdown(socket.SHUT_WR)
        return lost(4000, len(app.receive_all(sock, 4001)))


def half_close_while_a_thread_reads(app: App) -> str:
    with app.dial(DIGEST) as sock:
        found: list[bytes] = []
        reader = threading.Thread(target=lambda: found.append(app.receive_all(sock, DIGEST_ANSWER.size)))
        reader.start()
        app.send(sock, b"x" * 640)
        sock.shutdown(socket.SHUT_WR)
        reader.join(TIMEOUT)
        return "" if found and len(found[0]) == DIGEST_ANSWER.size else "the reader got no answer"


def reset(app: App) -> str:
    with app.dial(RESET) as sock:
        app.send(sock, b"0123456789")
        try:
            return "data" if app.receive(sock, 10) else "an end instead of a reset"
        except ConnectionResetError:
            return ""


def close_after_writing(app: App) -> str:
    with app.dial(COUNT) as sock:
        app.send(sock, b"w" * 3000)
        app.send(sock, b"w" * 17000)
    with app.dial(COUNTED) as sock:
        return lost(20000, NUMBER.unpack(app.receive_all(sock, NUMBER.size))[0])


def server_closes_after_writing(app: App) -> str:
    with app.dial(GIVE_AND_CLOSE, 20000, 20000) as sock:
        return lost(20000, len(app.receive_all(sock, 20001)))


def short_connections(app: App) -> str:
    with app.dial(ECHO) as sock:
        app.send(sock, b"h" * 100)
        return lost(100, len(app.receive_all(sock, 100)))


# --- order


def early_data(app: App) -> str:
    """Many small writes before anything was heard, while the other end is still being entered."""
    with app.dial(ORDER, greet=False) as sock:
        for number in range(50):
            app.send(sock, struct.pack("=I", number))
        sock.shutdown(socket.SHUT_WR)
        count, wrong = ORDER_ANSWER.unpack(app.receive_all(sock, ORDER_ANSWER.size))
        return f"{wrong} numbers stand in a wrong place" if wrong else lost(200, count * 4)


def server_speaks_first(app: App) -> str:
    with app.connect((app.address[0], SPEAKS_FIRST)) as sock:
        said = app.receive_all(sock, 300)
        for _ in range(3):
            app.send(sock, b"s" * 100)
            said += app.receive_all(sock, 100)
        return "" if said == pattern(300) + b"s" * 300 else f"heard {len(said)} other bytes"


def upload(app: App) -> str:
    size, sizes, sha = 64 << 20, (1, 100, 4096, 16384, 65536, 262144), hashlib.sha256()
    with app.dial(DIGEST) as sock:
        sent = turn = 0
        while sent < size:
            piece = pattern(min(sizes[turn % 6], size - sent), sent)
            sha.update(piece)
            app.send(sock, piece)
            sent += len(piece)
            turn += 1
        sock.shutdown(socket.SHUT_WR)
        answer = app.receive_all(sock, DIGEST_ANSWER.size)
        return "" if answer == DIGEST_ANSWER.pack(size, sha.digest()) else "other bytes arrived"


def download(app: App, size: int = 64 << 20, step: int = 100_000, pause: int = 0) -> str:
    """With `pause`, the reader stops for a moment at every so many reads."""
    with app.dial(GIVE, size, step) as sock:
        came = turn = 0
        while came < size:
            piece = app.receive(sock, (200, 70_000, 9_000)[turn % 3] if pause else 200_000)
            if not piece:
                return lost(size, came)
            if piece != pattern(len(piece), came):
                return f"other bytes arrived after {came}"
            came += len(piece)
            turn += 1
            if pause and turn % pause == 0:
                time.sleep(0.0005)
        return ""


def download_in_small_pieces(app: App) -> str:
    return download(app, 4 << 20, 3000)


def download_to_a_slow_reader(app: App) -> str:
    return download(app, 4 << 20, 5000, pause=7)


def sendfile(app: App) -> str:
    data = pattern(3_000_000)
    with tempfile.TemporaryFile() as file, app.dial(DIGEST) as sock:
        file.write(data)
        file.flush()
        sent = 0
        while sent < len(data):
            try:
                sent += os.sendfile(sock.fileno(), file.fileno(), sent, len(data) - sent)
            except BlockingIOError:
                wait(sock, select.POLLOUT)
        sock.shutdown(socket.SHUT_WR)
        answer = app.receive_all(sock, DIGEST_ANSWER.size)
        return "" if answer == DIGEST_ANSWER.pack(len(data), hashlib.sha256(data).digest()) else "other bytes arrived"


# --- bounds


def server_does_not_read(app: App) -> str:
    with app.dial(LATE_DIGEST, 300) as sock:
        sock.setblocking(False)
        sent, piece, deadline = 0, b"z" * 16384, time.monotonic() + 0.25
        while sent < 4 * BOUND and time.monotonic() < deadline:
            try:
                sent += sock.send(piece)
            except BlockingIOError:
                time.sleep(0.005)
        sock.setblocking(app.blocking)
        sock.shutdown(socket.SHUT_WR)
        size = DIGEST_ANSWER.unpack(app.receive_all(sock, DIGEST_ANSWER.size))[0]
        return lost(sent, size) or (
            "" if sent < BOUND else f"{sent >> 20} MB were taken for a server that did not read"
        )


def app_does_not_read(app: App) -> str:
    with app.dial(FLOOD, 250) as sock:
        time.sleep(0.3)
        came = app.receive_all(sock, 8 * BOUND)
        sent = NUMBER.unpack(came[-NUMBER.size :])[0]
        wrong = "" if sent < BOUND else f"{sent >> 20} MB were taken for an app that did not read"
        return lost(sent, len(came) - NUMBER.size) or wrong


# --- how apps read


def peek(app: App) -> str:
    with app.dial(ECHO) as sock:
        app.send(sock, b"p" * 500)
        seen = app.receive(sock, 100, socket.MSG_PEEK)
        return "" if seen and app.receive_all(sock, 500) == b"p" * 500 else "what was peeked at did not come"


def ask_how_much_there_is(app: App) -> str:
    """As nginx does by FIONREAD after each read that filled its buffer: told that nothing is left, it waits."""
    by_tcp = app.connect((app.address[0], SPEAKS_FIRST)), 300, 100
    without = app.dial(GIVE, 100_000, 100_000), 100_000, 4096
    for sock, size, piece in (by_tcp, without):
        with sock:
            wait(sock, select.POLLIN)
            time.sleep(0.005)
            came = len(sock.recv(piece))
            (left,) = struct.unpack("=i", fcntl.ioctl(sock, FIONREAD, bytes(4)))
            rest = len(app.receive_all(sock, size - came))
            if left <= 0 or rest != size - came:
                return f"{left} bytes are said to be there while {size - came} wait, of which {rest} came"
    return ""


def empty_write(app: App) -> str:
    with app.dial(ECHO) as sock:
        sock.send(b"")
        app.send(sock, b"z" * 10)
        return lost(10, len(app.receive_all(sock, 10)))


def edge_triggered(app: App) -> str:
    """As tokio and nginx read: until a read comes back short, then wait for the next edge."""
    size, came = 600_000, 0
    with app.dial(GIVE, size, 30_000) as sock, select.epoll() as epoll:
        epoll.register(sock, select.EPOLLIN | select.EPOLLET | select.EPOLLRDHUP)
        while came < size:
            if not epoll.poll(TIMEOUT):
                return f"stalled after {came} bytes"
            time.sleep(0.0003 * (came % 4))
            while True:
                try:
                    piece = sock.recv(65536)
                except BlockingIOError:
                    break
                if piece != pattern(len(piece), came):
                    return f"other bytes arrived after {came}"
                came += len(piece)
                if len(piece) < 65536:
                    break
        return ""


def edge_triggered_after_two_answers(app: App) -> str:
    """A small and a big answer, both there before the app looks."""
    size, came = 310_000, 0
    with app.dial(GIVE, size, 250_000) as sock, select.epoll() as epoll:
        time.sleep(0.01)
        epoll.register(sock, select.EPOLLIN | select.EPOLLET)
        while came < size:
            if not epoll.poll(TIMEOUT):
                return f"stalled after {came} bytes"
            came += len(sock.recv(400_000))
        return ""


def wait_for_all(app: App) -> str:
    with app.dial(ECHO) as sock:
        later = threading.Timer(0.003, sock.sendall, [b"2" * 50])
        app.send(sock, b"1" * 50)
        later.start()
        try:
            return lost(100, len(sock.recv(100, socket.MSG_WAITALL)))
        finally:
            later.join()


def interrupted(app: App) -> str:
    """A blocked recv() goes on after a signal."""
    signal.signal(signal.SIGALRM, lambda number, frame: None)
    with app.dial(LATE_DIGEST, 20) as sock:
        app.send(sock, b"q" * 64)
        sock.shutdown(socket.SHUT_WR)
        signal.setitimer(signal.ITIMER_REAL, 0.005)
        return lost(64, DIGEST_ANSWER.unpack(app.receive_all(sock, DIGEST_ANSWER.size))[0])


NONBLOCKING = (
    Case("half-close", 60, half_close),
    Case("half-close with answers unread", 10, half_close_with_answers_unread),
    Case("half-close with answers coming", 30, half_close_with_answers_coming),
    Case("reset", 10, reset),
    Case("close after writing", 30, close_after_writing),
    Case("server closes after writing", 60, server_closes_after_writing),
    Case("short connections", 500, short_connections),
    Case("early data", 60, early_data),
    Case("server speaks first", 30, server_speaks_first),
    Case("upload", 1, upload),
    Case("download", 1, download),
    Case("download in small pieces", 1, download_in_small_pieces),
    Case("download to a slow reader", 2, download_to_a_slow_reader),
    Case("sendfile", 1, sendfile),
    Case("server does not read", 1, server_does_not_read),
    Case("app does not read", 1, app_does_not_read),
    Case("peek", 20, peek),
    Case("ask how much there is", 20, ask_how_much_there_is),
    Case("empty write", 5, empty_write),
    Case("edge-triggered", 6, edge_triggered),
    Case("edge-triggered after two answers", 6, edge_triggered_after_two_answers),
)

BLOCKING = (
    Case("half-close", 20, half_close),
    Case("half-close while a thread reads", 20, half_close_while_a_thread_reads),
    Case("reset", 10, reset),
    Case("short connections", 50, short_connections),
    Case("wait for all", 5, wait_for_all),
    Case("interrupted", 3, interrupted),
    Case("server closes after writing", 10, server_closes_after_writing),
)


def run(case: Case, app: App, times: int) -> str:
    """What went wrong at the first of so many times that it did, or nothing."""
    for number in range(times):
        app.patient = number % 2 == 0
        try:
            wrong = case.run(app)
        except (OSError, struct.error, ValueError) as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            return f"{wrong} (at {app.address[0]}, time {number + 1} of {times})"
    return ""
