from nodemesh.telemetry.bypass import MOST, OTHERS, Bypasses
from nodemesh.telemetry.telemetry import Telemetry
from nodemesh.telemetry.totals import Totals


def test_the_first_of_a_key_is_told():
    bypasses = Bypasses()
    assert [bypasses.add(("web", 80, "tls")) for _ in range(3)] == [True, False, False]
    assert bypasses.add(("web", 80, "tcp"))
    bypasses.add(("web", 81, "tcp"))
    assert bypasses.of("web", 80) == {"tls": 3, "tcp": 1}


def test_keys_are_bounded():
    bypasses = Bypasses()
    for number in range(MOST + 50):
        bypasses.add((f"host-{number}", 80, "tls"))
    assert len(bypasses.counts) == MOST + 1
    assert bypasses.counts[OTHERS] == 50
    assert not bypasses.add(("host-0", 80, "tls"))


def test_control_adds_up_and_says_once_what_is_new():
    telemetry, totals = Telemetry(), Totals()
    for kept in range(3):
        telemetry.bypasses.add(("web", 80, "tls"))
        list(totals.update("worker", telemetry.dumps(kept), 0.0))
    assert totals.bypasses.of("web", 80) == {"tls": 3}
    assert totals.first_bypasses == [("web", 80, "tls")]
    successor = Totals()
    successor.restore(totals.save(), 0.0)
    assert (successor.bypasses.of("web", 80), successor.first_bypasses) == ({"tls": 3}, [])
