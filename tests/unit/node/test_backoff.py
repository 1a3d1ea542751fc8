from nodemesh.node.backoff import RestartBackoff


def test_the_first_death_is_mended_at_once_and_early_ones_ever_later():
    backoff = RestartBackoff()
    delays = []
    now = 100.0
    for _ in range(8):
        backoff.began(now)
        now += 0.01
        delays.append(round(backoff.died(now) - now, 3))
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0]


def test_a_long_life_is_forgiven():
    backoff = RestartBackoff()
    for _ in range(5):
        backoff.began(0.0)
        backoff.died(0.0)
    backoff.began(0.0)
    assert backoff.died(RestartBackoff.LONG_LIFE) == RestartBackoff.LONG_LIFE
