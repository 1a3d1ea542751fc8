import pytest

from nodemesh.routing import memo
from nodemesh.routing.memo import TablesMemo, ValuePool
from nodemesh.routing.tables import Tables

ONE, OTHER = ("default/a",), ("default/b",)


def tables(hosts):
    return Tables(virtual_hosts={"a": hosts})


def kept(hosts=ONE, value="made"):
    """A memory with one thing, made from one place of the tables."""
    found = TablesMemo(tables(hosts), None)
    found.keep("key", value, [("virtual_hosts", "a", hosts)])
    return found


def value_in(memory):
    found = memory.get("key")
    return found[0] if found is not None else None


def test_what_was_kept_is_found():
    assert kept().get("key") == ("made", [("virtual_hosts", "a", ONE)])
    assert kept().get("other") is None


def test_it_outlives_tables_while_they_have_the_same_object_there():
    before = kept()
    assert value_in(TablesMemo(tables(ONE), before)) == "made"
    assert TablesMemo(tables(OTHER), before).get("key") is None
    equal = (*ONE, "x")[:1]
    assert equal is not ONE and TablesMemo(tables(equal), before).get("key") is None


def test_versions_that_nobody_asked_lose_nothing():
    found = kept()
    for _ in range(3 * memo.MAX_LAYERS):
        found = TablesMemo(tables(ONE), found)
    assert value_in(found) == "made"


def test_the_newest_counts_also_when_layers_are_put_together():
    found = kept()
    for version in range(3 * memo.MAX_LAYERS):
        found = TablesMemo(tables(ONE), found)
        found.keep("key", version, [("virtual_hosts", "a", ONE)])
        assert value_in(TablesMemo(tables(ONE), found)) == version
        assert len(found._layers) <= memo.MAX_LAYERS


def test_too_much_is_forgotten(monkeypatch):
    monkeypatch.setattr(memo, "MAX_KEPT", 0)
    assert TablesMemo(tables(ONE), kept()).get("key") is None


@pytest.mark.parametrize("hosts", [ONE, OTHER])
def test_what_the_version_before_still_adds_is_checked_too(hosts):
    before = kept()
    after = TablesMemo(tables(hosts), before)
    before.keep("late", "made", [("virtual_hosts", "a", ONE)])
    found = after.get("late")
    assert (found is not None) == (hosts is ONE)


def test_equal_things_from_the_same_places_are_held_once():
    pool = ValuePool()
    reads: list[tuple[str, str | None, object]] = [("virtual_hosts", "a", ONE)]
    first = TablesMemo(tables(ONE), None, pool).keep("key", ["made"], reads)
    assert TablesMemo(tables(ONE), None, pool).keep("key", ["made"], list(reads)) is first
    assert TablesMemo(tables(ONE), None, pool).keep("key", ["otherwise"], reads) == ["otherwise"]


def test_what_is_equal_but_made_from_other_objects_is_not_shared():
    """It would not outlive the next version of the tables."""
    pool = ValuePool()
    first = TablesMemo(tables(ONE), None, pool).keep("key", ["made"], [("virtual_hosts", "a", ONE)])
    equal = (*ONE, "x")[:1]
    second = TablesMemo(tables(equal), None, pool)
    assert second.keep("key", ["made"], [("virtual_hosts", "a", equal)]) is not first
    assert second.get("key") == (["made"], [("virtual_hosts", "a", equal)])


def test_a_pool_has_a_bound(monkeypatch):
    monkeypatch.setattr(memo, "MAX_KEPT", 2)
    pool = ValuePool()
    first = pool.of("a", ["made"], [])
    for key in "bc":
        pool.of(key, ["made"], [])
    assert pool.of("a", ["made"], []) is not first
