"""The verifier: asks a proxy what is known beforehand, and says in sentences where status, body or headers differ."""

from __future__ import annotations

import hashlib
import http.client
import re
import threading
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from . import rules
from .cases import HEADERS
from .proxy import LOOPBACK, Proxy
from .upstream import BODIES, Upstream

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


class Question(NamedTuple):
    """One request and what is right: which pods may answer it under which rule, with which body."""

    title: str
    path: str
    headers: Mapping[str, str]
    pods: frozenset[str]
    rule: str = ""  # none: a neighbour's host, whose answers carry no mark
    body: str = ""  # a key of BODIES
    location: str = ""


def questions() -> Iterator[Question]:
    """Each rule with each body, the neighbours' hosts, and the redirect."""
    for rule in rules.RULES:
        headers = {**HEADERS, **dict(rule.headers)}
        if rule.redirect:
            location = f"http://{rules.HOST}{rule.redirect}"
            yield Question(rule.name, rule.prefix + "x", headers, frozenset(), location=location)
            continue
        for body in BODIES:
            path = rule.prefix.rstrip("/") + body
            yield Question(f"{rule.name} {body}", path, headers, pods_of(rules.HOST, rule.subset), rule.name, body)
    for app in rules.NEIGHBOURS:
        yield Question(app, "/10k", {**HEADERS, "Host": app}, pods_of(app, "v1"), body="/10k")


def pods_of(app: str, version: str) -> frozenset[str]:
    return frozenset(name for name, (_, a, v) in rules.pods().items() if (a, v) == (app, version))


def ask(peer: http.client.HTTPConnection, path: str, headers: Mapping[str, str]) -> Answer:
    peer.request("GET", path, headers=dict(headers))
    answer = peer.getresponse()
    body = answer.read()
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)


def judge(question: Question, answer: Answer, upstream: Upstream) -> Iterator[str]:
    """What is wrong with an answer; nothing if it is right."""
    if question.location:
        if (answer.status, answer.headers.get("location")) != (301, question.location):
            found = answer.headers.get("location")
            yield f"answered {answer.status} to {found}, right is 301 to {question.location}"
        return
    if answer.status != 200:
        yield f"answered {answer.status} with {answer.body[:80]!r}, right is 200"
        return
    if answer.digest != upstream.digest(question.body):
        yield f"the body's {len(answer.body)} bytes are not the {BODIES[question.body]} of {question.body}"
    if answer.headers.get("x-pod") not in question.pods:
        yield f"pod {answer.headers.get('x-pod')} answered, right is one of {', '.join(sorted(question.pods))}"
    if not question.rule:
        return
    wanted = {
        "x-rule": question.rule,
        "x-seen-host": rules.HOST,
        "x-seen-x-mesh": dict([rules.REQUEST_HEADER])["x-mesh"],
        "x-seen-x-forwarded-proto": "http",
        "x-seen-x-envoy-attempt-count": "1",
        "x-seen-user-agent": HEADERS["User-Agent"],
    }
    for name, value in wanted.items():
        if answer.headers.get(name) != value:
            yield f"header {name} is {answer.headers.get(name)!r}, right is {value!r}"
    if not UUID.fullmatch(answer.headers.get("x-seen-x-request-id", "")):
        yield f"the request id that reached the pod is {answer.headers.get('x-seen-x-request-id')!r}, right is a UUID"


def put(proxy: Proxy, upstream: Upstream, chunked: bool) -> Iterator[str]:
    """Sends a megabyte to a pod, framed by length or chunked, and looks at what has arrived."""
    body = upstream.bodies["/1m"]
    name = f"{proxy.name}-{'chunked' if chunked else 'sized'}"
    peer = http.client.HTTPConnection(LOOPBACK, proxy.port, timeout=20)
    pieces = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    peer.request("PUT", f"/put/{name}", body=pieces if chunked else body, headers=HEADERS, encode_chunked=chunked)
    status = peer.getresponse().status
    peer.close()
    if status not in (201, 204):
        yield f"PUT of 1 MB ({name}) was answered {status}, right is 201"
    elif upstream.received(name) != body:
        yield f"PUT of 1 MB ({name}) reached the pod with other bytes"


def check(proxy: Proxy, upstream: Upstream) -> list[str]:
    """Every question once over one kept connection, and two uploads: the proxy's mistakes as sentences."""
    wrong: list[str] = []
    peer = http.client.HTTPConnection(LOOPBACK, proxy.port, timeout=20)
    for question in questions():
        try:
            answer = ask(peer, question.path, question.headers)
        except (OSError, http.client.HTTPException) as error:
            wrong.append(f"{proxy.name}: {question.title}: {error!r}")
            peer.close()
            continue
        wrong += [f"{proxy.name}: {question.title}: {fault}" for fault in judge(question, answer, upstream)]
    peer.close()
    for chunked in (False, True):
        try:
            wrong += [f"{proxy.name}: {fault}" for fault in put(proxy, upstream, chunked)]
        except (OSError, http.client.HTTPException) as error:
            wrong.append(f"{proxy.name}: PUT: {error!r}")
    return wrong


class Sampler:
    """Asks one question over and over beside a load, until it is stopped: answers must be right under pressure too."""

    def __init__(self, proxy: Proxy, upstream: Upstream, path: str) -> None:
        self._proxy, self._upstream = proxy, upstream
        self._question = next(q for q in questions() if q.rule == rules.RULES[-1].name and q.body == path)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler")
        self.wrong: list[str] = []
        self.asked = 0

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        peer = http.client.HTTPConnection(LOOPBACK, self._proxy.port, timeout=20)
        while not self.asked or not self._done.wait(0.05):
            self.asked += 1
            try:
                answer = ask(peer, self._question.path, self._question.headers)
            except (OSError, http.client.HTTPException) as error:
                self.wrong.append(f"{self._proxy.name}: under load: {error!r}")
                return
            faults = judge(self._question, answer, self._upstream)
            self.wrong += [f"{self._proxy.name}: under load: {fault}" for fault in faults]
        peer.close()
