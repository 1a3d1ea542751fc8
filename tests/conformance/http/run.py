"""One case from its mesh to its verdict."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import msgspec

from .answer import Answer
from .case import H1, H2, Case, Expect, Pair, Range, Script, Seen, Step, within
from .closing import ended
from .got import Got
from .mesh import addresses_of, fill, objects
from .upstream import Upstreams
from .wire import Connection
from .wire_h2 import H2Connection
from .worker import WorkerUnderTest

#: The names of the two.
VERSIONS = {H1: "HTTP/1.1", H2: "HTTP/2"}

#: Seconds within which what is not part of the answer must show: copies, log lines.
PATIENCE = 5.0

#: The proxy's clock stands still during one turn of its loop: a time may seem that much shorter from outside.
GRAIN = 0.01


class Run:
    """A case under way."""

    def __init__(self, case: Case, number: int, worker: WorkerUnderTest, upstreams: Upstreams, pair: Pair) -> None:
        self.case = case
        self.pair = pair
        self.namespace = f"case-{number}-{pair}"
        self.worker = worker
        self.upstreams = upstreams
        self.kept: dict[str, Connection | H2Connection] = {}
        self.doors: dict[int, tuple[str, int]] = {}
        self.words = {
            "$long": "x" * 70_000,
            "$large": "x" * 81_000,
            "$huge": "x" * 82_000,
            "$port": str(upstreams.port),
            "$ns": self.namespace,
        }
        self.words |= {f"${name}": address for name, address in addresses_of(case).items()}

    def expect_all(self) -> None:
        """Play the case's steps; raises AssertionError at the first expectation that does not hold."""
        case = self.case
        scripts = fill(msgspec.to_builtins(case.upstreams), self.words)
        self.upstreams.start(addresses_of(case), msgspec.convert(scripts, dict[str, Script | list[Script]]))
        try:
            self.apply(None)
            for number, step in enumerate(case.steps):
                if step.applies(self.pair):
                    self.step(self.adapted(step), f"{self.namespace}-{number}")
            self.judge_versions()
            for metric in case.metrics:
                labels = fill(metric.labels, self.words)
                expect(within(self.worker.requests(labels), metric.requests), f"metrics: {labels}")
        finally:
            for connection in self.kept.values():
                connection.close()
            self.worker.forget_listeners()
            self.upstreams.stop()

    def apply(self, http: list[dict[str, Any]] | None) -> None:
        """The mesh, with these rules for `reviews`. Pods take both; the mesh's policy says which they get."""
        found = objects(self.case, self.namespace, self.upstreams.port, http, h2=self.pair.upstream == H2)
        self.worker.apply(found)

    def adapted(self, step: Step) -> Step:
        """With what is expected of this pair."""
        expected = msgspec.to_builtins(step.expect)
        for speaks, changes in ((self.pair.client, step.from_h2), (self.pair.upstream, step.to_h2)):
            if speaks == H2:
                expected = merged(expected, changes)
        return msgspec.structs.replace(step, expect=msgspec.convert(expected, Expect))

    def connect(self, step: Step) -> Connection | H2Connection:
        door = self.door(self.port_of(step))
        return Connection(door) if self.pair.client == H1 else H2Connection(door)

    def step(self, step: Step, identity: str) -> None:
        if step.pause:
            time.sleep(step.pause)
        if step.http is not None:
            self.apply(step.http)
        self.door(self.port_of(step))
        before = {name: len(got) for name, got in self.upstreams.got.items()}
        wanted = step.expect
        logged = identity if wanted.log else ""
        if step.leave or step.hold:
            self.reach(step, logged)
            answers = []
        elif step.parallel > 1:
            with ThreadPoolExecutor(step.parallel) as pool:
                answers = list(pool.map(lambda _: self.ask(step, logged), range(step.count)))
        else:
            answers = [self.ask(step, logged) for _ in range(step.count)]
        if answers:
            self.judge_answers(wanted, answers)
        self.judge_pods(wanted, before)
        if wanted.log:
            log = fill(dict(wanted.log), self.words)
            settle(lambda: any(matches(line, log) for line in self.worker.lines(identity)),
                   lambda: f"log: wanted {log}, got {self.worker.lines(identity)}")  # fmt: skip

    def door(self, port: int) -> tuple[str, int]:
        """The listener for a port that the client dials."""
        if port not in self.doors:
            destination = fill(self.case.address, self.words), port
            self.doors[port] = self.worker.listen(self.case.client, self.namespace, destination)
        return self.doors[port]

    def port_of(self, step: Step) -> int:
        """The port that the client dials; 0 in a case is the pods' own."""
        return step.port or self.case.port or self.upstreams.port

    def ask(self, step: Step, identity: str) -> Answer:
        filled = fill(
            {"send": step.send, "host": step.host, "headers": list(step.headers), "raw": step.raw}, self.words
        )
        step = Step(**{name: getattr(step, name) for name in step.__struct_fields__} | filled)
        connection = self.kept.get(step.via)
        if connection is None:
            connection = self.connect(step)
            if step.via:
                self.kept[step.via] = connection
        try:
            answer = connection.ask(step, identity)
            if step.then:
                expect(connection.echoed(step.then), f"{step.then!r} does not come back")
            if step.expect.closed and self.pair.client == H1:
                expect(ended(connection.sock), "the connection stays open")
            return answer
        finally:
            if not step.via:
                connection.close()

    def reach(self, step: Step, identity: str) -> None:
        """Send until the request has reached a pod; then leave, or go on with the next step."""
        before = self.upstreams.total()
        connection = self.connect(step)
        connection.begin(step, identity)
        settle(lambda: self.upstreams.total() > before, lambda: "no pod got the request")
        if step.leave:
            connection.reset()
        else:
            self.kept[f"held {identity}"] = connection

    def judge_answers(self, wanted: Expect, answers: list[Answer]) -> None:
        statuses = Counter(answer.status for answer in answers)
        if isinstance(wanted.status, int):
            expect(set(statuses) == {wanted.status}, f"status {dict(statuses)}, not {wanted.status}: {answers[0]}")
        else:
            expect(set(statuses) <= set(wanted.status), f"status {dict(statuses)}, not {wanted.status}")
            for status, most in wanted.status.items():
                expect(within(statuses[status], most), f"{statuses[status]} answers of {status}, not {most}")
        for answer in answers:
            self.judge(wanted, answer)
        if wanted.same_pod:
            expect(len({answer.field("x-pod") for answer in answers}) == 1, "several pods have answered")

    def judge(self, wanted: Expect, answer: Answer) -> None:
        expect(answer.broken == wanted.broken, f"broken: {answer}")
        for name, value in fill(wanted.headers, self.words).items():
            expect(fits(answer.field(name), value), f"{name} is {answer.field(name)!r}, not {value!r}: {answer.lines}")
        lines = [f"{name}: {value}" for name, value in answer.lines]
        for line in wanted.lines:
            expect(line in lines, f"no {line!r} in {lines}")
        if wanted.body is not None:
            body = fill(wanted.body, self.words).encode()
            expect(answer.body == body, f"body {answer.body!r}, not {body!r}")
        for piece in wanted.body_has:
            expect(piece.encode() in answer.body, f"body {answer.body!r} without {piece!r}")
        expect(not wanted.interim or tuple(answer.interim) == wanted.interim, f"interim {answer.interim}")
        for name, value in wanted.trailers.items():
            expect(answer.trailers.get(name) == value, f"trailers {answer.trailers}")
        expect(answer.seconds >= wanted.at_least - GRAIN, f"answered after {answer.seconds} s")

    def judge_pods(self, wanted: Expect, before: dict[str, int]) -> None:
        fresh = partial(self.fresh, before)
        for name, count in wanted.pods.items():
            self.settle_count(name, partial(fresh, name), count)
        if wanted.tries:
            counts = sorted(len(fresh(name)) for name in self.upstreams.got)
            expect(counts[-1] == sum(counts) == wanted.tries, f"the pods got {counts} requests")
        for name, count in wanted.connections.items():
            accepted = self.upstreams.accepted[name]
            expect(within(accepted, count), f"{name} has accepted {accepted} connections, not {count}")
        for name, seen in wanted.saw.items():
            self.settle_count(name, partial(fresh, name), (1, 1_000_000))
            self.judge_seen(name, seen, fresh(name)[-1])
        if wanted.gaps:
            tries = sorted(got.at for name in self.upstreams.got for got in fresh(name))
            gaps = [after - earlier for earlier, after in zip(tries, tries[1:], strict=False)]
            expect(len(gaps) == len(wanted.gaps), f"{len(gaps)} retries")
            expect(all(gap <= most for gap, most in zip(gaps, wanted.gaps, strict=True)), f"gaps {gaps}")

    def judge_versions(self) -> None:
        """The pods have heard the HTTP of the pair, or what the case says."""
        own = {"": self.pair.upstream, "client": self.pair.client, "h1": H1}
        spoken = VERSIONS[own[self.case.pods_hear]]
        with self.upstreams.lock:
            found = {got.version for every in self.upstreams.got.values() for got in every}
        expect(found <= {spoken}, f"the pods were spoken to in {found}, not {spoken}")

    def fresh(self, before: dict[str, int], name: str) -> list[Got]:
        """What a pod got in the present step."""
        with self.upstreams.lock:
            return self.upstreams.got[name][before.get(name, 0) :]

    def settle_count(self, name: str, fresh: Callable[[], list[Got]], count: Range) -> None:
        """Copies may come after the answer."""
        settle(lambda: within(len(fresh()), count), lambda: f"{name} got {len(fresh())} requests, not {count}")

    def judge_seen(self, name: str, seen: Seen, got: Got) -> None:
        for what, wanted, found in (
            ("method", seen.method, got.method),
            ("target", seen.target, got.target),
            ("host", fill(seen.host, self.words), got.field("host")),
        ):
            expect(not wanted or found == wanted, f"{name} saw the {what} {found!r}, not {wanted!r}")
        for field, value in fill(seen.headers, self.words).items():
            expect(fits(got.field(field), value), f"{name} saw {field} as {got.field(field)!r}, not {value!r}")
        for line in seen.lines:
            expect(line in got.lines, f"{name} saw no {line!r} in {got.lines}")
        if seen.body is not None:
            expect(got.body == seen.body.encode(), f"{name} saw the body {got.body!r}")


def merged(one: dict[Any, Any], other: dict[Any, Any]) -> dict[Any, Any]:
    """The second's values in the places of the first's, mapping by mapping."""
    nested = {key: merged(one[key], value) for key, value in other.items() if isinstance(value, dict) and key in one}
    return one | other | nested


def fits(value: str | None, wanted: str | None) -> bool:
    """`*` is any value, `/…/` a pattern, None none."""
    if wanted is None or value is None:
        return value is None and wanted is None
    if wanted.startswith("/") and wanted.endswith("/") and len(wanted) > 2:
        return re.fullmatch(wanted[1:-1], value) is not None
    return wanted in ("*", value)


def matches(line: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    for name, value in wanted.items():
        found = line[name]
        if isinstance(value, str) and isinstance(found, str):
            if not fits(found, value):
                return False
        elif found != value:
            return False
    return True


def settle(condition: Callable[[], bool], words: Callable[[], str]) -> None:
    """Wait for what is to come, within a bound."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, words()
        time.sleep(0.005)


def expect(true: bool, words: str) -> None:
    assert true, words
