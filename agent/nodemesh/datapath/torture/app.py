"""The app's process: in a cgroup and a namespace of its own it runs the cases that it is told, and measures the
gain."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import socket
import statistics
import struct
import sys
import time
from pathlib import Path

from .cases import BLOCKING, NONBLOCKING, run
from .client import ECHO, App


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
