"""The two apps of suite `datapath`, run as a script inside pods: one answers, one dials. They know nothing of a mesh,
and need the standard library only."""

from __future__ import annotations

import json
import select
import socket
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

SMALL = b"x" * 64
_CHUNK = bytes(256 * 1024)
_TIMEOUT = 10.0


def answer(port: int) -> None:
    """One process that serves HTTP/1.1 on kept connections; `GET /N` brings N bytes, `GET /` a few."""
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
    listener.setblocking(False)
    poller = select.epoll()
    poller.register(listener, select.EPOLLIN)
    clients: dict[int, socket.socket] = {}
    while True:
        for fd, _ in poller.poll():
            if fd == listener.fileno():
                accepted = listener.accept()[0]
                accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                clients[accepted.fileno()] = accepted
                poller.register(accepted, select.EPOLLIN)
            elif not serve(clients[fd]):
                clients.pop(fd).close()


def serve(client: socket.socket) -> bool:
    """Answer what has come; False where the client is gone. Requests are small enough to come in one piece."""
    try:
        asked = client.recv(16384)
        if not asked:
            return False
        size = int(asked.split(b" ", 2)[1][1:] or len(SMALL))
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + SMALL[:size])
        left = size - len(SMALL)
        while left > 0:
            client.sendall(_CHUNK[:left])
            left -= len(_CHUNK)
    except OSError:
        return False
    return True


def request(host: str, size: int) -> bytes:
    return f"GET /{size or ''} HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()


def read(sock: socket.socket, buffer: memoryview) -> bool:
    """Read one answer to its end; whether it is a whole 200."""
    head = sock.recv(4096)
    while b"\r\n\r\n" not in head:
        more = sock.recv(4096)
        if not more:
            return False
        head += more
    lines, _, body = head.partition(b"\r\n\r\n")
    length = next(line for line in lines.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    left = int(length.partition(b":")[2]) - len(body)
    while left > 0:
        size = sock.recv_into(buffer)
        if not size:
            return False
        left -= size
    return lines.startswith(b"HTTP/1.1 200 ")


def one(job: dict[str, Any], buffer: memoryview) -> tuple[int, int]:
    """Nanoseconds for connect(), and for all up to the end of the answer. OSError where that is not a 200."""
    family = socket.AF_INET6 if ":" in job["address"] else socket.AF_INET
    asked = request(job["host"], job["size"])
    began = time.perf_counter_ns()
    with socket.socket(family) as sock:
        sock.settimeout(_TIMEOUT)
        sock.connect((job["address"], job["port"]))
        connected = time.perf_counter_ns()
        sock.sendall(asked)
        good = read(sock, buffer)
        ended = time.perf_counter_ns()
    if not good:
        raise OSError("an answer that is not a whole 200")
    return connected - began, ended - began


def kept(job: dict[str, Any], buffer: memoryview) -> list[tuple[int, int]]:
    """The same for all requests on one connection, which is made before anything is counted."""
    family = socket.AF_INET6 if ":" in job["address"] else socket.AF_INET
    asked = request(job["host"], job["size"])
    times = []
    with socket.socket(family) as sock:
        sock.settimeout(_TIMEOUT)
        sock.connect((job["address"], job["port"]))
        for _ in range(job["count"] + 1):
            began = time.perf_counter_ns()
            sock.sendall(asked)
            if not read(sock, buffer):
                raise OSError("an answer that is not a whole 200")
            times.append((0, time.perf_counter_ns() - began))
    return times[1:]


def dial_some(job: dict[str, Any], count: int) -> tuple[list[tuple[int, int]], list[str]]:
    buffer = memoryview(bytearray(len(_CHUNK)))
    times: list[tuple[int, int]] = []
    failures: list[str] = []
    if job.get("keep"):
        return kept(job, buffer), failures
    for _ in range(count):
        try:
            times.append(one(job, buffer))
        except OSError as error:
            failures.append(f"{type(error).__name__}: {error}")
    return times, failures


def dial(job: dict[str, Any]) -> dict[str, Any]:
    """`count` connections of one request each, `concurrency` at a time, or with `keep` so many requests on one
    connection; medians in microseconds."""
    share = [job["count"] // job["concurrency"]] * job["concurrency"]
    if len(share) == 1:
        done = [dial_some(job, share[0])]
    else:
        with ThreadPoolExecutor(len(share)) as threads:
            done = list(threads.map(dial_some, [job] * len(share), share))
    times = [pair for some, _ in done for pair in some] or [(0, 0)]
    failures = [failure for _, some in done for failure in some]
    return {
        "connect": statistics.median(pair[0] for pair in times) / 1e3,
        "request": statistics.median(pair[1] for pair in times) / 1e3,
        "failed": len(failures),
        "failure": failures[0] if failures else "",
    }


def hold(address: str, port: int, host: str, count: int) -> None:
    """Open so many connections, each for one request that is answered, and tell how many failed; then ask once more on
    each, and tell that, too. Whoever is told twice to go on lets them go."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    buffer, asked = memoryview(bytearray(4096)), request(host, 0)
    kept = [socket.socket(family) for _ in range(count)]
    failed = [True] * count
    for again in (False, True):
        for number, sock in enumerate(kept):
            try:
                if not again:
                    sock.settimeout(_TIMEOUT)
                    sock.connect((address, port))
                sock.sendall(asked)
                failed[number] = not read(sock, buffer) or (again and failed[number])
            except OSError:
                failed[number] = True
        print(json.dumps({"failed": sum(failed)}), flush=True)
        sys.stdin.readline()


def churn(address: str, port: int, rate: int, seconds: int) -> None:
    """Open and close so many connections a second, one after the other; tell how many there were and failed."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    failed = done = 0
    began = time.monotonic()
    while (passed := time.monotonic() - began) < seconds:
        if done > passed * rate:
            time.sleep(0.001)
            continue
        done += 1
        with socket.socket(family) as sock:
            sock.settimeout(_TIMEOUT)
            try:
                sock.connect((address, port))
            except OSError:
                failed += 1
    print(json.dumps({"failed": failed, "done": done}), flush=True)


def main() -> None:
    """`answer PORT`, `hold ADDRESS PORT HOST COUNT`, `churn ADDRESS PORT RATE SECONDS`, or `dial`: a JSON job per line,
    one JSON result each."""
    if sys.argv[1] == "answer":
        answer(int(sys.argv[2]))
    if sys.argv[1] == "hold":
        hold(sys.argv[2], int(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
        return
    if sys.argv[1] == "churn":
        churn(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
        return
    for line in sys.stdin:
        print(json.dumps(dial(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
