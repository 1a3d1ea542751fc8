"""The app of the sockmap torture, run as a script in a cgroup and a namespace of its own: plain code that knows nothing
of a mesh and takes every answer of the kernel at its word. Needs the standard library only.

Each case is one habit of real apps that sockmap can break: `nonblocking` ones belong to apps whose bytes skip TCP,
`blocking` ones to apps that must have been left on TCP. A case returns what went wrong, or nothing."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import json
import os
import select
import signal
import socket
import statistics
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

#: What a connection asks of the other end, in its first bytes: what to do, a number, a second one.
ASK = struct.Struct("=B3xIQ")

(
    ECHO,  # send back what comes
    DIGEST,  # at the end of what comes: its size and SHA-256
    GIVE,  # so many bytes of the pattern in pieces of the second number, then read on
    GIVE_AND_CLOSE,  # the same, and close at once
    LATE_DIGEST,  # the same as DIGEST, but read only after so many milliseconds
    FLOOD,  # for so many milliseconds all that is taken, then how much that was
    RESET,  # close with a RST when ten bytes have come
    QUOTE,  # 100 bytes for each 64
    ORDER,  # at the end of what comes: how many numbers it was, and how many of them stood in a wrong place
    COUNT,  # remember the size of what comes
    COUNTED,  # that size
) = range(1, 12)

#: Answered first, unless an app is to send more before it hears anything, or says that it will send GO when it has read
#: the greeting. That comes by TCP as all that is heard first, so only then can the rest come otherwise from its
#: beginning.
GREETING = b"K"
GO = b"G"
SILENT = 0x80
PATIENT = 0x40

DIGEST_ANSWER = struct.Struct("=Q32s")
NUMBER = struct.Struct("=Q")
ORDER_ANSWER = struct.Struct("=QQ")

#: Bytes that may be under way to somebody who does not read: the buffers of TCP on both sides and the queue.
BOUND = 24 * 1024 * 1024

#: The port behind which the server speaks first, 300 bytes, before it sends back what comes.
SPEAKS_FIRST = 25

#: ioctl_tty(2)
FIONREAD = 0x541B

TIMEOUT = 3.0
_PATTERN = b"".join(struct.pack("=I", number) for number in range(16384)) * 66


def pattern(size: int, start: int = 0) -> bytes:
    start %= 65536
    return _PATTERN[start : start + size]


class Case(NamedTuple):
    name: str
    times: int
    run: Callable[[App], str]


class App:
    """How one kind of app connects, sends and receives."""

    def __init__(self, address: tuple[str, int], blocking: bool) -> None:
        self.address = address
        self.blocking = blocking  # from the moment that it is connected, as with a connect timeout
        self.patient = True

    def dial(self, ask: int, number: int = 0, second: int = 0, *, greet: bool = True) -> socket.socket:
        """A connection at whose other end `ask` is done; with `greet`, when its greeting has been read."""
        sock = self.connect(self.address)
        how = (PATIENT if self.patient else 0) if greet else SILENT
        self.send(sock, ASK.pack(ask | how, second, number))
        if greet and self.receive(sock, 1) != GREETING:
            raise OSError("no greeting")
        if how == PATIENT:
            self.send(sock, GO)
        return sock

    def connect(self, address: tuple[str, int]) -> socket.socket:
        sock = socket.socket(socket.AF_INET6 if ":" in self.address[0] else socket.AF_INET)
        sock.setblocking(False)
        if sock.connect_ex(address) not in (0, errno.EINPROGRESS):
            raise OSError("connect failed")
        wait(sock, select.POLLOUT)
        if self.blocking:
            sock.setblocking(True)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("=qq", int(TIMEOUT), 0))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def send(self, sock: socket.socket, data: bytes) -> None:
        if self.blocking:
            sock.sendall(data)
            return
        view = memoryview(data)
        while view:
            try:
                view = view[sock.send(view) :]
            except BlockingIOError:
                wait(sock, select.POLLOUT)

    def receive(self, sock: socket.socket, size: int, flags: int = 0) -> bytes:
        if self.blocking:
            return sock.recv(size, flags)
        while True:
            try:
                return sock.recv(size, flags)
            except BlockingIOError:
                wait(sock, select.POLLIN)

    def receive_all(self, sock: socket.socket, size: int) -> bytes:
        """As much, or all until the end of the stream."""
        parts: list[bytes] = []
        while size:
            part = self.receive(sock, min(size, 262144))
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return b"".join(parts)


def wait(sock: socket.socket, events: int) -> None:
    poll = select.poll()
    poll.register(sock, events)
    if not poll.poll(TIMEOUT * 1000):
        raise TimeoutError("stalled")


def lost(wanted: int, found: int) -> str:
    return "" if wanted == found else f"{wanted - found} of {wanted} bytes are missing"


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
    data = _PATTERN[:3_000_000]
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


# --- the gain


def echo_rate(app: App, sock: socket.socket, count: int, size: int) -> float:
    data = b"e" * size
    began = time.perf_counter()
    for _ in range(count):
        app.send(sock, data)
        app.receive_all(sock, size)
    return count / (time.perf_counter() - began)


def measure(accelerated: App, plain: App, size: int, rounds: int, count: int) -> float:
    """How many times as often `size` bytes go there and back: the median of rounds in which the two take turns."""
    with accelerated.dial(ECHO) as first, plain.dial(ECHO) as second:
        ratios = [
            echo_rate(accelerated, first, count, size) / echo_rate(plain, second, count, size)
            for _ in range(rounds + 1)
        ]
    return statistics.median(ratios[1:])


def move(cgroup: Path) -> None:
    """Into the cgroup, and into a namespace with nothing but a loopback."""
    (cgroup / "cgroup.procs").write_text(str(os.getpid()))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x40000000) != 0:  # CLONE_NEWNET
        raise OSError(ctypes.get_errno(), "cannot make a network namespace")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        # SIOCSIFFLAGS: IFF_UP | IFF_RUNNING; netdevice(7)
        fcntl.ioctl(control, 0x8914, struct.pack("16sh22x", b"lo", 0x1 | 0x40))


def main() -> None:
    """`CGROUP`; then on stdin, one JSON line each: a job, answered by one JSON line."""
    move(Path(sys.argv[1]))
    print("ready", flush=True)
    for line in sys.stdin:
        job = json.loads(line)
        apps = [App((address, port), job["blocking"]) for address, port in job["addresses"]]
        if job["do"] == "measure":
            answer: object = measure(apps[0], apps[1], job["size"], job["rounds"], job["count"])
        else:
            cases = {case.name: case for case in (BLOCKING if job["blocking"] else NONBLOCKING)}
            case = cases[job["do"]]
            share = -(-max(1, int(case.times * job["scale"])) // len(apps))
            answer = next((wrong for app in apps if (wrong := run(case, app, share))), "")
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
