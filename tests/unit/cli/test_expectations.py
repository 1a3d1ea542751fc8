"""The demo's judges: each holds for what it expects and for nothing else."""

import json

import pytest

from nodemesh.cli import expectations as expect
from nodemesh.lab import HttpAnswer


def reviews(version, began=0.0):
    return HttpAnswer(200, {}, json.dumps({"service": "reviews", "version": version}), began, 0.01)


def page(version):
    inner = {"status": 200, "answer": {"service": "reviews", "version": version}}
    return HttpAnswer(200, {}, json.dumps({"service": "productpage", "version": "v1", "reviews": inner}), 0.0, 0.01)


def status(code, seconds=0.01, began=0.0):
    return HttpAnswer(code, {}, "", began, seconds)


def refused(began):
    return HttpAnswer(0, {}, "", began, 0.0, "ConnectionRefusedError: refused")


def holds(expectation, answers, moment=0.0):
    return expectation.judge(answers, moment).holds


def test_version_sees_through_the_page():
    assert holds(expect.version("v1"), [reviews("v1"), page("v1")])
    assert not holds(expect.version("v1"), [page("v1"), page("v2")])
    assert not holds(expect.version("v1"), [page("v1"), status(503)])


@pytest.mark.parametrize(("rare", "good"), [(40, True), (14, True), (66, True), (12, False), (68, False), (0, False)])
def test_a_share_is_bound_by_chance_not_by_luck(rare, good):
    answers = [reviews("v3")] * rare + [reviews("v1")] * (400 - rare)
    assert holds(expect.version_share("v3", "v1", 0.1), answers) is good


def test_a_share_tolerates_no_third_outcome():
    answers = [reviews("v3")] * 40 + [reviews("v1")] * 359
    assert not holds(expect.version_share("v3", "v1", 0.1), [*answers, reviews("v2")])
    aborted = [status(555)] * 60 + [status(200)] * 239
    assert holds(expect.status_share(555, 0.2), [*aborted, status(200)])
    assert not holds(expect.status_share(555, 0.2), [*aborted, status(503)])


def test_redirect_and_path():
    moved = HttpAnswer(302, {"location": "http://a/b"}, "", 0.0, 0.01)
    assert holds(expect.redirected(302, "http://a/b"), [moved])
    assert not holds(expect.redirected(301, "http://a/b"), [moved])
    seen = HttpAnswer(200, {}, json.dumps({"path": "/details/7"}), 0.0, 0.01)
    assert holds(expect.path_seen("/details/7"), [seen])
    assert not holds(expect.path_seen("/details/7"), [status(404)])


def test_answered_wants_the_status_in_its_time():
    expectation = expect.answered(504, 1.0, 3.0)
    assert holds(expectation, [status(504, 1.02)])
    assert not holds(expectation, [status(504, 0.5)])
    assert not holds(expectation, [status(504, 3.1)])
    assert not holds(expectation, [status(200, 1.02)])


def test_dead_endpoints_are_seen_or_hidden():
    mixed = [status(200), status(503)]
    assert holds(expect.some_fail(503), mixed) and not holds(expect.some_fail(503), mixed[:1])
    assert holds(expect.none_fails(), mixed[:1]) and not holds(expect.none_fails(), mixed)


def test_a_change_takes_over_in_time_and_loses_nothing():
    expectation = expect.changes("v1", "v3", 2.0)
    before, after = [reviews("v1", 0.5)], [reviews("v3", 1.3), reviews("v3", 3.5)]
    assert expectation.judge([*before, *after], 1.0) == expect.RowVerdict("v3 after 0.30 s, 0 of 3 requests lost", True)
    assert not holds(expectation, [*before, reviews("v1", 3.2), *after], 1.0), "too late"
    assert not holds(expectation, [*before, status(503, began=1.1), *after], 1.0), "a request was lost"
    assert not holds(expectation, before, 1.0), "never"
    assert not holds(expectation, after, 2.0), "v3 before the change was made"


def test_going_direct_means_every_version_soon_after_the_last_failure():
    expectation = expect.goes_direct("v3", ("v1", "v2", "v3"), 2.0)
    ruled = [reviews("v3", 0.5)]

    def direct(at):
        return [reviews(version, at) for version in ("v1", "v2", "v3")]

    verdict = expectation.judge([*ruled, refused(1.5), *direct(2.5)], 1.0)
    assert verdict == expect.RowVerdict("direct after 1.50 s by v1, v2, v3, 1 lost", True)
    assert not holds(expectation, [*ruled, refused(3.2), *direct(3.3)], 1.0), "too late"
    assert not holds(expectation, [*ruled, refused(1.5), reviews("v3", 2.0)], 1.0), "the rule still holds"
    assert not holds(expectation, [*direct(0.5), *direct(2.5)], 1.0), "the rule never held"
    assert not holds(expectation, [*ruled, refused(1.5)], 1.0), "never"


def test_a_share_tells_what_is_chance():
    answers = [reviews("v3")] * 40 + [reviews("v1")] * 360
    said = expect.version_share("v3", "v1", 0.1).judge(answers, 0.0).measured
    assert said == "360 × v1, 40 × v3 (10.0% v3; 13 to 67 is chance)"


def test_who_joins_is_ruled_in_time_and_loses_nothing():
    expectation = expect.joins("v3", 2.0)
    direct, ruled = (
        [reviews("v1", 1.1), reviews("v3", 1.2), reviews("v2", 1.3)],
        [reviews("v3", 1.5), reviews("v3", 3.5)],
    )
    said = expectation.judge([*direct, *ruled], 1.0)
    assert said == expect.RowVerdict("v3 after 0.50 s, 0 of 5 requests lost", True)
    assert not holds(expectation, [*ruled, reviews("v1", 3.6)], 1.0), "never for good"
    assert not holds(expectation, [reviews("v1", 3.1), reviews("v3", 3.2)], 1.0), "too late"
    assert not holds(expectation, [status(503, began=1.1), *ruled], 1.0), "a request was lost"


def test_a_median_holds_by_the_way_and_not_by_its_length():
    proxied = [
        HttpAnswer(200, {"x-envoy-upstream-service-time": "1"}, "", 0.0, seconds) for seconds in (0.001, 0.002, 9.0)
    ]
    direct = [status(200, 0.0005)] * 3
    assert expect.median(proxied=True).judge(proxied, 0.0).measured == "3 × 200, median 2000 µs"
    assert holds(expect.median(proxied=True), proxied) and holds(expect.median(proxied=False), direct)
    assert not holds(expect.median(proxied=False), proxied) and not holds(expect.median(proxied=True), direct)
    assert not holds(expect.median(proxied=True), [*proxied, direct[0]])
    assert not holds(expect.median(proxied=False), [*direct, status(503)])
