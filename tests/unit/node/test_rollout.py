"""What becomes of a rollout: of canaries first, then of all, or back; and how much of it there may be."""

import pytest
from msgspec.structs import replace
from tests.unit.registry.test_staging import KEY, rule

from nodemesh.config.base import Duration
from nodemesh.config.rollout import RolloutPlan
from nodemesh.config.written import as_written
from nodemesh.node import rollout
from nodemesh.node.rollout import CanaryTally, decided, is_settled, rollout_rows
from nodemesh.registry.staging import ABSENT, Planned, RolloutPhase, RolloutStep, Staging, digest_of

PLAN = RolloutPlan(clients=10.0, hold=Duration(60_000), max_errors=5.0, min_requests=20)


def planned(subset, stable=None, plan=PLAN):
    item = rule(subset)
    return Planned(item, digest_of(item), rule(stable) if stable is not None else None, plan)


def created(subset="v2"):
    return Planned(rule(subset), digest_of(rule(subset)), None, PLAN, True)


def removed(stable="v1"):
    return Planned(rule(stable), ABSENT, rule(stable), PLAN)


def begun(subset="v2", stable="v1", at=100.0):
    return decided({}, {KEY: planned(subset, stable)}, {}, at)


def tally(*numbers):
    return {begun()[KEY].id: CanaryTally(*numbers)}


def test_the_first_spec_of_an_object_is_complete():
    (entry,) = decided({}, {KEY: planned("v1")}, {}, 100.0).values()
    assert (entry.phase, entry.stable, entry.digest) == (RolloutPhase.COMPLETE, None, digest_of(rule("v1")))
    assert is_settled({KEY: entry}, {KEY: planned("v1")})


def test_a_change_begins_with_canaries_and_keeps_what_was_before():
    entry = begun()[KEY]
    assert (entry.phase, entry.since, entry.why) == (RolloutPhase.CANARY, 100.0, "10 % of the clients for 1 min")
    assert entry.stable == as_written(rule("v1").spec) and entry.plan == as_written(PLAN)
    assert not is_settled({KEY: entry}, {KEY: planned("v2", "v1")})


@pytest.mark.parametrize(
    ("numbers", "phase"),
    [
        ((0, 0), RolloutPhase.CANARY),
        ((19, 19), RolloutPhase.CANARY),  # too few to judge
        ((20, 1), RolloutPhase.CANARY),  # 5 %: not more
        ((20, 2), RolloutPhase.BACK),
        ((10_000, 400, 40, 2), RolloutPhase.CANARY),
        ((10_000, 400, 40, 3), RolloutPhase.BACK),  # of late, however good it was
        ((10_000, 600, 40, 0), RolloutPhase.BACK),
    ],
)
def test_the_guard(numbers, phase):
    found = decided(begun(), {KEY: planned("v2", "v1")}, tally(*numbers), 110.0)[KEY]
    assert found.phase is phase
    if phase is RolloutPhase.BACK:
        assert found.stable == as_written(rule("v1").spec) and found.since == 110.0
        assert "requests of canaries failed" in found.why and "more than 5 %" in found.why


def test_all_get_it_after_the_time_and_nothing_is_kept():
    on = decided(begun(), {KEY: planned("v2", "v1")}, tally(500, 1), 159.9)
    assert on == begun()
    found = decided(on, {KEY: planned("v2", "v1")}, tally(500, 1), 160.0)[KEY]
    assert (found.phase, found.stable, found.plan, found.why) == (RolloutPhase.COMPLETE, None, None, "")


def test_the_guard_counts_before_the_time():
    assert decided(begun(), {KEY: planned("v2", "v1")}, tally(50, 50), 999.0)[KEY].phase is RolloutPhase.BACK


def test_the_plan_of_a_rollout_that_is_on_is_not_changed():
    later = planned("v2", "v1", replace(PLAN, max_errors=100.0))
    assert decided(begun(), {KEY: later}, tally(50, 50), 110.0)[KEY].phase is RolloutPhase.BACK


def test_a_further_change_begins_anew_from_the_same_stable_spec():
    found = decided(begun(), {KEY: planned("v3", "v1")}, tally(50, 50), 110.0)[KEY]
    assert (found.phase, found.since, found.digest) == (RolloutPhase.CANARY, 110.0, digest_of(rule("v3")))
    assert found.stable == as_written(rule("v1").spec)


@pytest.mark.parametrize("numbers", [(0, 0), (50, 50)])
def test_who_reverts_needs_no_rollout(numbers):
    entries = decided(begun(), {KEY: planned("v2", "v1")}, tally(*numbers), 110.0)
    found = decided(entries, {KEY: planned("v1")}, {}, 120.0)[KEY]
    assert (found.phase, found.stable) == (RolloutPhase.COMPLETE, None)


def test_what_was_taken_back_stays_so():
    back = decided(begun(), {KEY: planned("v2", "v1")}, tally(50, 50), 110.0)
    assert decided(back, {KEY: planned("v2", "v1")}, {}, 10_000.0) == back and is_settled(
        back, {KEY: planned("v2", "v1")}
    )


def test_a_new_object_begins_with_canaries_and_there_is_nothing_before():
    entries = decided({}, {KEY: created()}, {}, 100.0)
    entry = entries[KEY]
    assert (entry.phase, entry.stable, entry.absent, entry.step) == (
        RolloutPhase.CANARY,
        None,
        True,
        RolloutStep.CREATED,
    )
    back = decided(entries, {KEY: created()}, {entry.id: CanaryTally(50, 50)}, 110.0)
    assert back[KEY].phase is RolloutPhase.BACK and back[KEY].absent
    again = decided(back, {KEY: created("v3")}, {}, 120.0)[KEY]
    assert (again.phase, again.absent, again.stable) == (RolloutPhase.CANARY, True, None), "mended, it is new as before"
    done = decided(entries, {KEY: created()}, {}, 160.0)[KEY]
    assert (done.phase, done.absent, done.stable) == (RolloutPhase.COMPLETE, False, None)


def test_a_removal_begins_with_canaries_and_ends_without_a_trace():
    complete = decided({}, {KEY: planned("v1")}, {}, 50.0)
    entries = decided(complete, {KEY: removed()}, {}, 100.0)
    entry = entries[KEY]
    assert (entry.phase, entry.digest, entry.step) == (RolloutPhase.CANARY, ABSENT, RolloutStep.REMOVED)
    assert entry.stable == as_written(rule("v1").spec) and not is_settled(entries, {KEY: removed()})
    back = decided(entries, {KEY: removed()}, {entry.id: CanaryTally(50, 50)}, 110.0)
    assert back[KEY].phase is RolloutPhase.BACK and is_settled(back, {KEY: removed()})
    assert decided(entries, {KEY: removed()}, {}, 160.0) == {}
    assert decided({}, {KEY: removed()}, {}, 161.0) == {}, "the leader may not have heard of its own word yet"
    reverted = decided(entries, {KEY: planned("v1")}, {}, 120.0)[KEY]
    assert (reverted.phase, reverted.stable) == (RolloutPhase.COMPLETE, None)


def test_new_objects_and_removals_take_rooms_too():
    crowd = {replace(KEY, name=f"r{number}"): created() for number in range(rollout.ROLLOUTS_OF_NAMESPACE + 3)}
    assert len(decided({}, crowd, {}, 100.0)) == rollout.ROLLOUTS_OF_NAMESPACE
    crowd = many(rollout.ROLLOUTS_OF_NAMESPACE + 3)
    plain = {key: item._replace(stable=None) for key, item in crowd.items()}
    entries = decided(decided({}, plain, {}, 50.0), dict.fromkeys(crowd, removed()), {}, 100.0)
    assert len(on(entries)) == rollout.ROLLOUTS_OF_NAMESPACE and len(entries) == len(crowd), "the others wait"


def test_a_removal_that_is_too_large_to_be_kept_is_at_once(monkeypatch):
    complete = decided({}, {KEY: planned("v1")}, {}, 50.0)
    monkeypatch.setattr(rollout, "MAX_SPEC", 20)
    assert decided(complete, {KEY: removed()}, {}, 100.0) == {}


def test_entries_of_objects_that_are_gone_leave():
    assert decided(begun(), {}, {}, 110.0) == {} and not is_settled(begun(), {})


def many(count, namespace="shop"):
    return {replace(KEY, name=f"r{number}", namespace=namespace): planned("v2", "v1") for number in range(count)}


def on(entries):
    return [entry for entry in entries.values() if entry.phase is RolloutPhase.CANARY]


def test_a_namespace_has_so_many_at_a_time_and_leaves_room_for_others():
    crowd = many(rollout.ROLLOUTS_OF_NAMESPACE + 3)
    entries = decided({}, crowd, {}, 100.0)
    assert len(on(entries)) == rollout.ROLLOUTS_OF_NAMESPACE and len(entries) == len(on(entries)), "the others wait"
    entries = decided(entries, {**crowd, **many(2, "other")}, {}, 101.0)
    assert len(on(entries)) == rollout.ROLLOUTS_OF_NAMESPACE + 2
    entries = decided(entries, crowd, {}, 500.0)
    assert len(on(entries)) == 3 and len(entries) == len(crowd), "the first are complete and make room"


def test_there_are_so_many_in_all():
    crowd = {key: item for number in range(9) for key, item in many(4, f"ns{number}").items()}
    assert len(on(decided({}, crowd, {}, 100.0))) == rollout.ROLLOUTS


def test_objects_are_bounded_too(monkeypatch):
    monkeypatch.setattr(rollout, "OBJECTS_OF_NAMESPACE", 2)
    plain = {key: item._replace(stable=None) for key, item in many(5).items()}
    assert len(decided({}, plain, {}, 100.0)) == 2


def test_what_is_too_large_to_be_kept_waits(monkeypatch):
    monkeypatch.setattr(rollout, "MAX_SPEC", 20)
    assert begun() == {}


def test_status_has_what_is_not_complete():
    staging = Staging()
    staging.planned = {KEY: planned("v2", "v1")}
    (row,) = rollout_rows(staging, {})
    assert (row["object"], row["step"], row["phase"]) == ("VirtualService shop/reviews", "changed", "waiting")
    staging.entries = begun()
    (row,) = rollout_rows(staging, {begun()[KEY].id: (40, 3)})
    assert (row["phase"], row["since"], row["requests_here"], row["failures_here"]) == ("canary", 100.0, 40, 3)
    staging.planned = {KEY: planned("v1")}
    assert rollout_rows(staging, {}) == []
    staging.planned = {KEY: created("v3"), replace(KEY, name="other"): removed()}
    assert [row["step"] for row in rollout_rows(staging, {})] == ["removed", "created"]
