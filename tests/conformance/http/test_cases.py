"""Every case, over real sockets."""

from collections.abc import Iterator

import pytest
from tests.conformance.http.case import PAIRS, Case, Pair, cases
from tests.conformance.http.run import Run
from tests.conformance.http.upstream import Upstreams
from tests.conformance.http.worker import WorkerUnderTest

EVERY = [(f"{file}: {case.name}", case) for file, found in cases().items() for case in found]


@pytest.fixture(scope="module")
def worker() -> Iterator[WorkerUnderTest]:
    worker = WorkerUnderTest()
    yield worker
    worker.close()


@pytest.fixture(scope="module")
def upstreams() -> Upstreams:
    return Upstreams()


APPLYING = [
    pytest.param(number, case, pair, id=f"{pair} {name}")
    for pair in PAIRS
    for number, (name, case) in enumerate(EVERY)
    if case.applies(pair)
]


@pytest.mark.parametrize(("number", "case", "pair"), APPLYING)
def test_what_a_user_sees(number: int, case: Case, pair: Pair, worker: WorkerUnderTest, upstreams: Upstreams) -> None:
    Run(case, number, worker, upstreams, pair).expect_all()
