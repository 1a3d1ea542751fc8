"""What a test in YAML expects, and what is said of what does not hold."""

import msgspec
import pytest

from nodemesh.config.base import Duration
from nodemesh.sim.answer import Answer
from nodemesh.sim.deeds import SeenRequest
from nodemesh.sim.expecting import Expect, Saw, binomial_bounds, failures

ANSWER = Answer(
    request="GET http://reviews/",
    status=504,
    cluster="outbound|9080|v2|reviews.default.svc.cluster.local",
    service="reviews.default.svc.cluster.local",
    subset="v2",
    pod="default/reviews-v2",
    rule="VirtualService default/reviews spec.http[0] (a.yaml:3:1)",
    seconds=3.0,
    tries=2,
    headers={"x-a": "1"},
    seen=(SeenRequest(pod="default/reviews-v2", port=9080, at=0.0, method="GET", path="/", headers={"x-b": "2"}),),
    copies=("default/other",),
)


@pytest.mark.parametrize(
    "held, broken, word",
    [
        (Expect(status=504), Expect(status=200), "status is 504, not 200"),
        (Expect(to="v2"), Expect(to="v1"), "it went to v2, not to v1"),
        (Expect(to="reviews-v2"), Expect(to="reviews/v1"), "it went to v2"),
        (Expect(rule="spec.http[0]"), Expect(rule="spec.http[1]"), "not spec.http[1]"),
        (Expect(tries=2), Expect(tries=3), "tries is 2, not 3"),
        (Expect(seconds=Duration(3000)), Expect(seconds=Duration(3001)), "it took 3 s, not 3.001 s"),
        (Expect(headers={"X-A": "1"}), Expect(headers={"x-a": ""}), "header x-a is '1', not ''"),
        (Expect(copies=1), Expect(copies=0), "copies is 1"),
        (Expect(saw=Saw(path="/", headers={"x-b": "2"})), Expect(saw=Saw(headers={"x-b": ""})), "saw x-b as '2'"),
        (Expect(grpc_status=None), Expect(grpc_status=0), "grpc status is None, not 0"),
        (Expect(shares={"v2": 100}), Expect(shares={"v2": 50}), "which is 100.0% and not 50 %"),
        (Expect(statuses={"504": 40}), Expect(statuses={"504": 39, "200": 1}), "40 × 504, not 1 × 200, 39 × 504"),
    ],
)  # fmt: skip
def test_each_expectation_holds_or_is_told(held, broken, word):
    assert failures(held, [ANSWER] * 40) == []
    (told,) = failures(broken, [ANSWER] * 40)
    assert word in told


def test_what_no_upstream_has_seen_is_told():
    nobody = msgspec.structs.replace(ANSWER, seen=())
    assert "no upstream has seen it" in failures(Expect(saw=Saw(path="/")), [nobody])[0]


def test_a_fair_draw_stays_within_its_bounds():
    low, high = binomial_bounds(10_000, 0.25)
    assert 2300 < low < 2310 and 2690 < high < 2700
