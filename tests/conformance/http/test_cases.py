"""Every case, over real sockets."""

from collections.abc import Iterator

import pytest
from tests.conformance.http.case import Case, cases
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


@pytest.mark.parametrize(
    ("number", "case"), [(n, case) for n, (_, case) in enumerate(EVERY)], ids=[n for n, _ in EVERY]
)
def test_what_a_user_sees(number: int, case: Case, worker: WorkerUnderTest, upstreams: Upstreams) -> None:
    Run(case, number, worker, upstreams)()
