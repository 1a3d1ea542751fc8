from nodemesh.datapath.calm import AWAITED, CALM, LONGEST, Calm
from nodemesh.registry.snapshot import Endpoint, Health, Service

HOST = "web.default.svc.cluster.local"
A, B = "10.1.0.1", "10.1.0.2"


def services(*addresses, **health):
    """Endpoints by address, with another health than ready by the address's last part: `_1=Health.DRAINING`."""
    found = tuple(
        Endpoint(address=one, port=80, workload=f"default/{one}", health=health.get(f"_{one[-1]}", Health.READY))
        for one in addresses
    )
    return {HOST: (Service(host=HOST, name="web", namespace="default", endpoints={80: found}),)}


def test_what_there_was_first_is_calm():
    calm = Calm()
    calm.see(services(A, B), 0.0)
    assert calm.reasons(0.0) == {}
    calm.see({**services(A, B), "new": services(A)[HOST]}, 1.0)
    assert calm.reasons(1.0) == {}, "a service that has just come has no history either"


def test_while_an_endpoint_leaves_and_for_a_calm_time_after():
    calm = Calm()
    calm.see(services(A, B), 0.0)
    calm.see(services(A, B, _1=Health.DRAINING), 5.0)
    assert calm.reasons(500.0) == {HOST: "its endpoint 10.1.0.1:80 (default/10.1.0.1) leaves"}
    calm.see(services(A, B, _1=Health.UNREADY), 400.0)
    assert calm.reasons(400.0) == {HOST: "its endpoint 10.1.0.1:80 (default/10.1.0.1) has left"}
    calm.see(services(B), 500.0)
    assert calm.reasons(500.0 + CALM - 0.1) == {HOST: "its endpoint 10.1.0.1:80 (default/10.1.0.1) has left"}
    assert calm.reasons(500.0 + CALM) == {}


def test_an_endpoint_that_comes_is_the_beginning_of_a_rollout():
    calm = Calm()
    calm.see(services(A), 0.0)
    calm.see(services(A, B, _2=Health.UNREADY), 5.0)
    assert calm.reasons(5.0) == {HOST: "its endpoint 10.1.0.2:80 (default/10.1.0.2) has come"}
    calm.see(services(A, B), 8.0)
    assert HOST in calm.reasons(8.0 + CALM - 0.1)
    assert calm.reasons(8.0 + CALM) == {}


def test_what_changes_elsewhere_in_a_service_disturbs_nobody():
    calm = Calm()
    before = services(A)
    calm.see(before, 0.0)
    calm.see({HOST: (Service(host=HOST, name="web", namespace="default", endpoints=before[HOST][0].endpoints,
                             labels={"a": "b"}),)}, 5.0)  # fmt: skip
    assert calm.reasons(5.0) == {}


def test_a_service_that_is_gone_is_forgotten():
    calm = Calm()
    calm.see(services(A), 0.0)
    calm.see(services(A, _1=Health.DRAINING), 1.0)
    calm.see({}, 2.0)
    assert calm.reasons(2.0) == {}


def test_connects_that_fail_again_keep_it_away_for_longer():
    calm = Calm()
    calm.failed(HOST, "10.1.0.1:80", 0.0)
    calm.failed(HOST, "10.1.0.1:80", 0.1)  # under way when the proxy took over
    assert calm.reasons(CALM - 0.1) == {HOST: "connects to 10.1.0.1:80 fail"}
    assert calm.reasons(CALM) == {}
    calm.failed(HOST, "10.1.0.1:80", CALM + 1)
    assert calm.reasons(3 * CALM) != {}
    assert calm.reasons(3 * CALM + 1) == {}
    now = 3 * CALM + 1
    for _ in range(60):
        calm.failed(HOST, "10.1.0.1:80", now)
        now = next(end for end in range(int(now) + 1, int(now) + 400) if not calm.reasons(end))
    calm.failed(HOST, "10.1.0.1:80", now)
    assert calm.reasons(now + LONGEST - 1) and not calm.reasons(now + LONGEST)


def test_failures_long_past_begin_anew():
    calm = Calm()
    calm.failed(HOST, "10.1.0.1:80", 0.0)
    assert calm.reasons(2 * CALM) == {}
    calm.failed(HOST, "10.1.0.1:80", 2 * CALM)
    assert calm.reasons(3 * CALM) == {}


def test_a_pod_that_is_made_for_a_host_is_awaited_until_it_is_an_endpoint():
    calm = Calm()
    calm.see(services(A), 0.0)
    calm.starts(f"default/{B}", [HOST], 5.0)
    assert calm.reasons(5.0 + AWAITED - 1) == {HOST: "its pod default/10.1.0.2 starts"}, "images take their time"
    calm.see(services(A, B, _2=Health.UNREADY), 100.0)
    assert calm.reasons(100.0 + CALM) == {HOST: "its pod default/10.1.0.2 starts"}, "it is not ready yet"
    calm.see(services(A, B), 200.0)
    assert calm.reasons(200.0) == {HOST: "its endpoint 10.1.0.2:80 (default/10.1.0.2) has come"}
    assert calm.reasons(200.0 + CALM) == {}


def test_a_pod_that_never_becomes_ready_or_goes_again_is_not_awaited_for_ever():
    calm = Calm()
    calm.see(services(A), 0.0)
    calm.starts("default/crashes", [HOST], 5.0)
    assert calm.reasons(5.0 + AWAITED) == {}
    calm.starts("default/goes", [HOST], 400.0)
    calm.ends("default/goes", [], 401.0)
    assert calm.reasons(401.0) == {}


def test_a_pod_that_leaves_counts_before_the_services_say_so():
    calm = Calm()
    calm.see(services(A, B), 0.0)
    calm.ends(f"default/{A}", [HOST], 5.0)
    assert calm.reasons(5.0) == {HOST: "its pod default/10.1.0.1 leaves"}
    assert calm.reasons(5.0 + CALM) == {}
    calm.see(services(A, B, _1=Health.DRAINING), 6.0)
    assert calm.reasons(500.0) == {HOST: "its endpoint 10.1.0.1:80 (default/10.1.0.1) leaves"}


def proxied(calm: Calm, start: int, end: int, period: int) -> int:
    """The seconds without calm, while a controller makes a pod every `period` that goes again without being ready."""
    count = 0
    for now in range(start, end):
        if now % period == 0:
            calm.ends(f"default/p{now - period}", [], now)
            calm.starts(f"default/p{now}", [HOST], now)
        count += bool(calm.reasons(now))
    return count


def test_pods_that_come_to_nothing_again_and_again_keep_no_service_out_of_the_kernel():
    calm = Calm()
    calm.see(services(A), 0.0)
    assert proxied(calm, 0, 600, 60) > 250, "the first are awaited"
    assert proxied(calm, 600, 6000, 60) <= 5400 / 60 * CALM + CALM
    calm.starts(f"default/{B}", [HOST], 6000.0)
    calm.see(services(A, B), 6001.0)
    calm.starts("default/next", [HOST], 6100.0)
    assert calm.reasons(6100.0 + AWAITED - 1), "after one that became ready the next is awaited as the first was"
    calm.see({}, 6500.0)
    calm.see(services(A), 6501.0)
    assert calm.reasons(6501.0) == {}
