"""The demo's scenarios as data: the YAML that is applied, what is asked from inside which pod, what is expected."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from . import expectations as expect
from .expectations import Expectation

#: Seconds. Istio's own examples have shorter ones; these leave room for a busy machine.
DELAY, TIMEOUT = 3.0, 1.0


class Intervention(StrEnum):
    """What is done while a row's requests flow."""

    NONE = ""
    APPLY = "apply"  # the row's own YAML replaces what is in force
    KILL = "kill"  # every process of the agent, by SIGKILL
    JOIN = "join"  # a pod is made that the agent has not seen, and the requests are its own


class ScenarioRow(msgspec.Struct, frozen=True, kw_only=True):
    """Requests from inside the visitor's pod: `count` of them, or as many as fit in `duration` seconds. A pod's or
    service's name in braces in the URL is its address."""

    asked: str
    url: str
    expectation: Expectation
    headers: Mapping[str, str] = {}
    count: int = 1
    concurrency: int = 1
    duration: float = 0.0
    timeout: float = 10.0
    deed: Intervention = Intervention.NONE
    yaml: str = ""  # the folder that the deed applies


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """`yaml` is a folder below manifests/demo/bookinfo/scenarios; `dead` names services that get one more pod which is
    ready by Kubernetes' word and does not listen."""

    name: str
    yaml: str
    rows: tuple[ScenarioRow, ...]
    dead: tuple[str, ...] = ()


PAGE = "http://productpage:9080/productpage"
REVIEWS = "http://reviews:9080/reviews/0"
RATINGS = "http://ratings:9080/ratings/0"
DETAILS = "http://details:9080"

#: Requests whose median is shown.
TIMED = 300

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="All to v1",
        yaml="all-v1",
        rows=(ScenarioRow(asked="20 × the page", url=PAGE, count=20, concurrency=2, expectation=expect.version("v1")),),
    ),
    Scenario(
        name="User jason to v2",
        yaml="user-jason",
        rows=(
            ScenarioRow(
                asked="10 × the page as jason",
                url=PAGE,
                headers={"end-user": "jason"},
                count=10,
                concurrency=2,
                expectation=expect.version("v2"),
            ),
            ScenarioRow(
                asked="10 × the page as jane",
                url=PAGE,
                headers={"end-user": "jane"},
                count=10,
                concurrency=2,
                expectation=expect.version("v1"),
            ),
        ),
    ),
    Scenario(
        name="Split 90/10",
        yaml="split-90-10",
        rows=(
            ScenarioRow(
                asked="400 × reviews",
                url=REVIEWS,
                count=400,
                concurrency=4,
                expectation=expect.version_share("v3", "v1", 0.1),
            ),
        ),
    ),
    Scenario(
        name="Rewrite and redirect",
        yaml="rewrite-redirect",
        rows=(
            ScenarioRow(asked="details /books/7", url=f"{DETAILS}/books/7", expectation=expect.path_seen("/details/7")),
            ScenarioRow(
                asked="details /catalogue",
                url=f"{DETAILS}/catalogue",
                expectation=expect.redirected(302, "http://shop.example.com/books/0"),
            ),
        ),
    ),
    Scenario(
        name="20 % aborts",
        yaml="abort-555",
        rows=(
            ScenarioRow(
                asked="300 × ratings",
                url=RATINGS,
                count=300,
                concurrency=4,
                expectation=expect.status_share(555, 0.2),
            ),
        ),
    ),
    Scenario(
        name="3 s delay, 1 s timeout",
        yaml="delay-timeout",
        rows=(
            ScenarioRow(
                asked="reviews, whose timeout waits for the late ratings",
                url=REVIEWS,
                expectation=expect.answered(504, TIMEOUT, DELAY),
            ),
            ScenarioRow(
                asked="ratings: a delay is not counted in its own rule's timeout",
                url=RATINGS,
                expectation=expect.answered(200, DELAY, DELAY + TIMEOUT),
            ),
        ),
    ),
    Scenario(
        name="A dead endpoint, no retries",
        yaml="no-retries",
        dead=("details",),
        rows=(
            ScenarioRow(
                asked="60 × details",
                url=f"{DETAILS}/details/0",
                count=60,
                concurrency=2,
                expectation=expect.some_fail(503),
            ),
        ),
    ),
    Scenario(
        name="A dead endpoint, retries",
        yaml="retries",
        dead=("details",),
        rows=(
            ScenarioRow(
                asked="60 × details",
                url=f"{DETAILS}/details/0",
                count=60,
                concurrency=2,
                expectation=expect.none_fails(),
            ),
        ),
    ),
    Scenario(
        name="Live change of YAML",
        yaml="all-v1",
        rows=(
            ScenarioRow(
                asked="reviews for 3 s, v1 replaced by v3 meanwhile",
                url=REVIEWS,
                duration=3.0,
                deed=Intervention.APPLY,
                yaml="all-v3",
                expectation=expect.changes("v1", "v3", 2.0),
            ),
        ),
    ),
    Scenario(
        name="A pod that joins",
        yaml="all-v3",
        rows=(
            ScenarioRow(
                asked="reviews for 2 s, by a pod made now",
                url=REVIEWS,
                duration=2.0,
                deed=Intervention.JOIN,
                expectation=expect.joins("v3", 2.0),
            ),
        ),
    ),
    Scenario(
        name="Kernel beside direct",
        yaml="all-v3",
        rows=(
            ScenarioRow(
                asked=f"{TIMED} × a pod of ratings",
                url="http://{ratings-v1}:9080/ratings/0",
                count=TIMED,
                expectation=expect.median(proxied=False),
            ),
            ScenarioRow(
                asked=f"{TIMED} × ratings, which no rule sends through the proxy",
                url="http://{ratings}:9080/ratings/0",
                count=TIMED,
                expectation=expect.median(proxied=False),
            ),
        ),
    ),
    Scenario(
        name="Proxy beside them",
        yaml="all-v1",
        rows=(
            ScenarioRow(
                asked=f"{TIMED} × ratings, which a rule sends there",
                url="http://{ratings}:9080/ratings/0",
                count=TIMED,
                expectation=expect.median(proxied=True),
            ),
        ),
    ),
    Scenario(
        name="The proxy killed",
        yaml="all-v3",
        rows=(
            ScenarioRow(
                asked="reviews for 4 s, SIGKILL meanwhile",
                url=REVIEWS,
                duration=4.0,
                timeout=2.0,
                deed=Intervention.KILL,
                expectation=expect.goes_direct("v3", ("v1", "v2", "v3"), 2.0),
            ),
        ),
    ),
)
