"""Sends HTTP requests from inside a pod and tells what came back; run as a script (JSON in, JSON out), stdlib only."""

from __future__ import annotations

import http.client
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

#: Seconds between the requests of a job with a duration: a stream to watch, not a load.
_PAUSE = 0.005


@dataclass(frozen=True)
class Job:
    """What to send: the same request `count` times, `concurrency` at a time, or again and again for `duration` seconds;
    `timeout` in seconds for each."""

    url: str
    method: str = "GET"
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    count: int = 1
    concurrency: int = 1
    duration: float = 0.0
    timeout: float = 10.0


@dataclass(frozen=True)
class HttpAnswer:
    """What came back. Status 0: no answer, and `error` says why. Header names are lower case; `began` is on the
    machine's monotonic clock, `seconds` is the whole exchange, from connect() to the last byte."""

    status: int
    headers: dict[str, str]
    body: str
    began: float
    seconds: float
    error: str = ""

    def json(self) -> Any:
        """The body's JSON; None if it is none."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None


def send(job: Job) -> HttpAnswer:
    """One request on a connection of its own."""
    url = urlsplit(job.url)
    assert url.hostname is not None
    began = time.monotonic()
    connection = http.client.HTTPConnection(url.hostname, url.port or 80, timeout=job.timeout)
    try:
        target = (url.path or "/") + (f"?{url.query}" if url.query else "")
        connection.request(job.method, target, body=job.body.encode() or None, headers=job.headers)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
        headers = {name.lower(): value for name, value in response.getheaders()}
        return HttpAnswer(response.status, headers, body, began, time.monotonic() - began)
    except (OSError, http.client.HTTPException) as error:
        return HttpAnswer(0, {}, "", began, time.monotonic() - began, f"{type(error).__name__}: {error}")
    finally:
        connection.close()


def send_all(job: Job) -> list[HttpAnswer]:
    """The answers in the order of the requests."""
    if job.duration:
        end = time.monotonic() + job.duration
        answers = []
        while time.monotonic() < end:
            answers.append(send(job))
            time.sleep(_PAUSE)
        return answers
    with ThreadPoolExecutor(job.concurrency) as threads:
        return list(threads.map(send, [job] * job.count))


def main() -> None:
    answers = send_all(Job(**json.load(sys.stdin)))
    json.dump([answer.__dict__ for answer in answers], sys.stdout)


if __name__ == "__main__":
    main()
