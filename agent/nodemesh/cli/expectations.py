"""What a demo row expects of the answers, and how it is judged; pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from ..lab.client import HttpAnswer
from ..sim.expecting import binomial_bounds

#: The proxy's mark on an answer, as Envoy's.
_SERVICE_TIME = "x-envoy-upstream-service-time"


class RowVerdict(msgspec.Struct, frozen=True):
    """What was measured, as a phrase, and whether it is what was expected."""

    measured: str
    holds: bool


#: Judges the answers to a row's requests; `moment` is when the row's deed was done (monotonic clock), 0 without one.
Judge = Callable[[Sequence[HttpAnswer], float], RowVerdict]


class Expectation(msgspec.Struct, frozen=True):
    """A phrase for people, and its judge."""

    text: str
    judge: Judge


def reviews_version(answer: HttpAnswer) -> str:
    """Which version of reviews stands behind an answer of reviews itself or of the page; else what went wrong."""
    said = answer.json() if answer.status == 200 else None
    if not isinstance(said, dict):
        return failure(answer)
    if said.get("service") != "productpage":
        return str(said.get("version"))
    reviews = said.get("reviews", {})
    return str(reviews["answer"]["version"]) if "answer" in reviews else f"reviews: {reviews.get('error')}"


def failure(answer: HttpAnswer) -> str:
    return str(answer.status) if answer.status else answer.error


def version(wanted: str) -> Expectation:
    """Every answer comes by this version of reviews."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(map(reviews_version, answers))
        return RowVerdict(_counts(seen), set(seen) == {wanted})

    return Expectation(f"{wanted} every time", judge)


def version_share(rare: str, common: str, share: float) -> Expectation:
    """The version `rare` answers this share of the requests, `common` the others."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(map(reviews_version, answers))
        low, high = binomial_bounds(len(answers), share)
        holds = low <= seen[rare] <= high and set(seen) <= {rare, common}
        return RowVerdict(f"{_counts(seen)} ({seen[rare] / len(answers):.1%} {rare}; {_bounds(low, high)})", holds)

    return Expectation(f"{share:.0%} {rare}, the rest {common}", judge)


def status_share(status: int, share: float) -> Expectation:
    """This share of the answers has the status, the others have 200."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(map(failure, answers))
        low, high = binomial_bounds(len(answers), share)
        holds = low <= seen[str(status)] <= high and set(seen) <= {str(status), "200"}
        share_seen = f"{seen[str(status)] / len(answers):.1%} {status}"
        return RowVerdict(f"{_counts(seen)} ({share_seen}; {_bounds(low, high)})", holds)

    return Expectation(f"{share:.0%} {status}, the rest 200", judge)


def path_seen(path: str) -> Expectation:
    """The service sees this path."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(str((answer.json() or {}).get("path", failure(answer))) for answer in answers)
        return RowVerdict(_counts(seen), set(seen) == {path})

    return Expectation(f"the service sees {path}", judge)


def redirected(status: int, location: str) -> Expectation:
    """The client is sent elsewhere."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(f"{failure(answer)} {answer.headers.get('location', '')}" for answer in answers)
        return RowVerdict(_counts(seen), set(seen) == {f"{status} {location}"})

    return Expectation(f"{status} {location}", judge)


def answered(status: int, after: float, before: float) -> Expectation:
    """The status comes no sooner than `after` and sooner than `before` seconds."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(map(failure, answers))
        slowest, fastest = max(one.seconds for one in answers), min(one.seconds for one in answers)
        holds = set(seen) == {str(status)} and after <= fastest and slowest < before
        return RowVerdict(f"{_counts(seen)} after {slowest:.2f} s", holds)

    return Expectation(f"{status} after {after:g} s", judge)


def some_fail(status: int) -> Expectation:
    """The status is seen, beside 200."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(map(failure, answers))
        return RowVerdict(_counts(seen), seen[str(status)] > 0 and set(seen) == {str(status), "200"})

    return Expectation(f"some {status}", judge)


def none_fails() -> Expectation:
    """Every answer is 200."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(map(failure, answers))
        return RowVerdict(_counts(seen), set(seen) == {"200"})

    return Expectation("200 every time", judge)


def changes(old: str, new: str, within: float) -> Expectation:
    """From one version of reviews to the other within seconds of the deed, and not one request is lost."""

    def judge(answers: Sequence[HttpAnswer], moment: float) -> RowVerdict:
        seen = [(answer.began - moment, reviews_version(answer)) for answer in answers]
        lost = sum(one not in (old, new) for _, one in seen)
        stale = max((at for at, one in seen if one != new), default=0.0)
        first = min((at for at, one in seen if one == new), default=math.inf)
        holds = lost == 0 and first >= 0.0 and stale < within and seen[-1][1] == new
        return RowVerdict(f"{new} after {first:.2f} s, {lost} of {len(seen)} requests lost", holds)

    return Expectation(f"{new} within {within:g} s, no request lost", judge)


def joins(ruled: str, within: float) -> Expectation:
    """Within seconds of its making, the pod's requests go by the rules; until then they go as without a mesh."""

    def judge(answers: Sequence[HttpAnswer], moment: float) -> RowVerdict:
        seen = [(one.began - moment, reviews_version(one)) for one in answers]
        lost = sum(one.status != 200 for one in answers)
        since = min((at for at, _ in seen if all(one == ruled for later, one in seen if later >= at)), default=math.inf)
        return RowVerdict(
            f"{ruled} after {since:.2f} s, {lost} of {len(seen)} requests lost", since < within and not lost
        )

    return Expectation(f"{ruled} within {within:g} s, no request lost", judge)


def median(*, proxied: bool) -> Expectation:
    """What a request takes in the middle, on a connection of its own; it holds however long that is, if all came by the
    way that is meant."""

    def judge(answers: Sequence[HttpAnswer], _moment: float) -> RowVerdict:
        seen = Counter(map(failure, answers))
        way = {_SERVICE_TIME in one.headers for one in answers if one.status == 200}
        middle = statistics.median(one.seconds for one in answers) * 1e6
        return RowVerdict(f"{_counts(seen)}, median {middle:.0f} µs", set(seen) == {"200"} and way == {proxied})

    return Expectation(f"200 every time, {'by' if proxied else 'past'} the proxy", judge)


def goes_direct(ruled: str, versions: Sequence[str], within: float) -> Expectation:
    """Before the proxy's end the rule holds: one version. Within seconds of it every request is answered, and without
    rules: by all versions."""

    def judge(answers: Sequence[HttpAnswer], moment: float) -> RowVerdict:
        before = {reviews_version(one) for one in answers if one.began + one.seconds < moment}
        after = [one for one in answers if one.began > moment]
        failed = [one.began - moment for one in after if one.status != 200]
        direct = [one for one in after if one.status == 200 and one.began - moment > max(failed, default=0.0)]
        seen = sorted({reviews_version(one) for one in direct})
        since = min((one.began - moment for one in direct), default=math.inf)
        holds = before == {ruled} and since < within and seen == sorted(versions)
        return RowVerdict(f"direct after {since:.2f} s by {', '.join(seen) or 'nobody'}, {len(failed)} lost", holds)

    return Expectation(f"direct within {within:g} s, by {', '.join(versions)}", judge)


def _bounds(low: float, high: float) -> str:
    return f"{max(0, math.ceil(low))} to {math.floor(high)} is chance"


def _counts(seen: Counter[str]) -> str:
    return ", ".join(f"{count} × {what}" for what, count in sorted(seen.items()))
