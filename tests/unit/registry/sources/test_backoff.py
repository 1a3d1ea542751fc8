from nodemesh.registry.sources.backoff import Backoff


def test_delays_double_up_to_a_limit_and_start_over():
    backoff = Backoff(lambda: 1.0)
    assert [backoff.next() for _ in range(9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]
    backoff.reset()
    assert backoff.next() == 0.2


def test_half_of_each_delay_is_drawn():
    assert Backoff(lambda: 0.0).next() == 0.1
