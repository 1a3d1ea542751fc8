import pytest

from nodemesh.registry.sources.debounce import LEAVING_PAUSE, Debounce, Haste


def test_nothing_is_due_without_a_change():
    assert Debounce().due() is None


def test_rules_wait_for_a_quiet_moment_but_not_forever():
    debounce = Debounce()
    debounce.changed(5.0, Haste.RULES)
    assert debounce.due() == pytest.approx(5.1)
    debounce.changed(5.09, Haste.RULES)
    assert debounce.due() == pytest.approx(5.19)
    for moment in range(600, 2000):
        debounce.changed(moment / 100, Haste.RULES)
    assert debounce.due() == 15.0


def test_endpoints_do_not_wait_for_quiet():
    debounce = Debounce()
    debounce.changed(5.0, Haste.ENDPOINTS)
    debounce.changed(5.04, Haste.ENDPOINTS)
    assert debounce.due() == pytest.approx(5.05)
    debounce.handed_on()
    assert debounce.due() is None


def test_a_slow_application_gets_its_pause():
    debounce = Debounce()
    debounce.applied(8.0, 0.3)
    debounce.changed(8.0, Haste.ENDPOINTS)
    assert debounce.due() == 8.3
    debounce.applied(8.0, 30.0)
    assert debounce.due() == 9.0


def test_who_leaves_does_not_wait_for_company():
    debounce = Debounce()
    debounce.changed(5.0, Haste.ENDPOINTS)
    debounce.changed(5.01, Haste.LEAVING)
    assert debounce.due() == 5.01
    debounce.handed_on()
    debounce.changed(6.0, Haste.ENDPOINTS)
    assert debounce.due() == pytest.approx(6.05)


def test_a_slow_application_holds_up_who_leaves_for_a_part_of_its_time():
    debounce = Debounce()
    debounce.applied(8.0, 0.4)
    debounce.changed(8.0, Haste.LEAVING)
    assert debounce.due() == pytest.approx(8.0 + 0.4 * LEAVING_PAUSE)
