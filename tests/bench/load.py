"""The load: wrk, pinned, with its figures taken from a closing script rather than from its printed text."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from .processes import Failed

#: wrk calls done() once, after the load: a script without request() or response() costs nothing while it runs.
SCRIPT = """\
function done(summary, latency, requests)
    local e = summary.errors
    io.stderr:write(string.format(
        '{"requests":%d,"microseconds":%d,"bytes":%d,"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d,' ..
        '"p50":%d,"p99":%d,"longest":%d}',
        summary.requests, summary.duration, summary.bytes, e.connect, e.read, e.write, e.status, e.timeout,
        latency:percentile(50), latency:percentile(99), latency.max))
end
"""


class Load(NamedTuple):
    """What one run of wrk saw. Latencies in microseconds; `dropped` are connections refused, reset or cut,
    `unanswered` requests that took over two seconds, `refused` answers with a status of 400 or more."""

    requests: int
    seconds: float
    bytes: int
    dropped: int
    unanswered: int
    refused: int
    p50: int
    p99: int
    longest: int

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def parse(text: str) -> Load:
    """Reads the line that SCRIPT writes."""
    try:
        said = json.loads(text)
        return Load(
            requests=said["requests"],
            seconds=said["microseconds"] / 1e6,
            bytes=said["bytes"],
            dropped=said["connect"] + said["read"] + said["write"],
            unanswered=said["timeout"],
            refused=said["status"],
            p50=said["p50"],
            p99=said["p99"],
            longest=said["longest"],
        )
    except (ValueError, KeyError) as error:
        raise Failed(f"wrk's closing line cannot be read ({error}): {text[:200]!r}") from None


def run(url: str, connections: int, seconds: float, headers: Mapping[str, str], cores: set[int], folder: Path) -> Load:
    """Loads the URL over keep-alive connections from one thread for about that many seconds (wrk counts whole ones)."""
    script = folder / "done.lua"
    script.write_text(SCRIPT)
    cpus = ",".join(map(str, sorted(cores)))
    command = [
        "taskset",
        "--cpu-list",
        cpus,
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "-s",
        str(script),
    ]
    for name, value in headers.items():
        command += ["-H", f"{name}: {value}"]
    ended = subprocess.run([*command, url], capture_output=True, text=True, timeout=seconds + 30)
    if ended.returncode:
        raise Failed(f"wrk ended with status {ended.returncode}: {ended.stderr.strip() or ended.stdout.strip()}")
    return parse(ended.stderr)
