"""The load of HTTP/2: h2load, pinned, with its figures taken from the log that it writes of each request."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from .load import Load
from .processes import Failed

FINISHED = re.compile(r"finished in ([\d.]+)(ms|s|us)")
REQUESTS = re.compile(r"(\d+) done, \d+ succeeded, (\d+) failed, (\d+) errored, (\d+) timeout")
STATUSES = re.compile(r"status codes: \d+ 2xx, \d+ 3xx, (\d+) 4xx, (\d+) 5xx")
TRAFFIC = re.compile(r"traffic: .*\((\d+)\) total")
UNITS = {"s": 1.0, "ms": 1e-3, "us": 1e-6}


def parse(text: str, microseconds: Sequence[int]) -> Load:
    """Reads what h2load prints at its end; `microseconds` are the requests' own times."""
    found = [pattern.search(text) for pattern in (FINISHED, REQUESTS, STATUSES, TRAFFIC)]
    if not all(found) or not microseconds:
        raise Failed(f"h2load's summary cannot be read: {text[-300:]!r}")
    finished, requests, statuses, traffic = (match for match in found if match is not None)
    times = sorted(microseconds)
    return Load(
        requests=int(requests[1]),
        seconds=float(finished[1]) * UNITS[finished[2]],
        bytes=int(traffic[1]),
        dropped=int(requests[2]),
        unanswered=int(requests[4]),
        refused=int(statuses[1]) + int(statuses[2]),
        p50=times[len(times) // 2],
        p99=times[len(times) * 99 // 100],
        longest=times[-1],
    )


def run(
    url: str, connections: int, streams: int, seconds: float, headers: Mapping[str, str], body: bytes, cores: set[int],
    folder: Path,
) -> Load:  # fmt: skip
    """Asks for the URL over so many connections, each with so many streams at once, from one thread. A warm-up of a
    tenth of the time opens the connections and is not counted."""
    log = folder / "h2load.log"
    log.unlink(missing_ok=True)
    command = ["taskset", "--cpu-list", ",".join(map(str, sorted(cores))), "h2load", "-t1", f"-c{connections}"]
    command += [f"-m{streams}", f"-D{max(1, round(seconds))}", f"--log-file={log}"]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    if body:
        (folder / "body").write_bytes(body)
        command += ["-d", str(folder / "body")]
    ended = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 30)
    if ended.returncode:
        raise Failed(f"h2load ended with status {ended.returncode}: {ended.stderr.strip() or ended.stdout[-300:]}")
    with log.open() as lines:
        return parse(ended.stdout, [int(line.rpartition("\t")[2]) for line in lines])
