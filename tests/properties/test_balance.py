"""Whatever happens to a group, in whatever order: its picks and its state stay lawful."""

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.balance.building import Clock, cluster, endpoint

from nodemesh.balance import levels
from nodemesh.balance.group import Group
from nodemesh.balance.limits import Limits
from nodemesh.balance.rows import private_row
from nodemesh.balance.shared import Ledger, Share, size_of
from nodemesh.registry.snapshot import Health
from nodemesh.routing.decision import Algorithm, ConnectionPool, Outlier, RetryBudgetPolicy

ALGORITHMS = st.sampled_from(
    [Algorithm.LEAST_REQUEST, Algorithm.ROUND_ROBIN, Algorithm.RANDOM, Algorithm.RING_HASH, Algorithm.MAGLEV]
)
MEMBERS = st.dictionaries(st.integers(0, 9), st.sampled_from(list(Health)), max_size=8)
SMALL = {"ring_size": 16, "table_size": 101}


class TwoWorkers(RuleBasedStateMachine):
    """Two workers of one node over shared counters, with a model of what must hold."""

    def __init__(self):
        super().__init__()
        self.clock = Clock()
        self.outlier = Outlier(max_ejection_percent=60, consecutive_5xx=2)
        self.buffer = memoryview(bytearray(size_of(2, 40)))
        self.ledger = Ledger(self.buffer, 2, 40)
        self.wanted = self.cluster({0: Health.READY, 1: Health.READY}, Algorithm.LEAST_REQUEST)
        self.ledger.assign([self.wanted])
        self.groups = [Group(self.wanted, self.clock, Random(n), Share(self.buffer, n)) for n in range(2)]
        self.in_flight = []

    def cluster(self, members, algorithm):
        some = [endpoint(number, health=health) for number, health in members.items()]
        return cluster(some, algorithm, balancer=SMALL, outlier=self.outlier)

    @rule(members=MEMBERS, algorithm=ALGORITHMS)
    def update(self, members, algorithm):
        self.wanted = self.cluster(members, algorithm)
        self.ledger.assign([self.wanted])
        for group in self.groups:
            before = dict(group.by_address)
            gone = group.update(self.wanted)
            assert {host.address for host in gone} == {
                address for address, _ in before.keys() - {(e.address, e.port) for e in self.wanted.endpoints}
            }
            for key, host in group.by_address.items():
                assert host is before.get(key, host)

    @rule(worker=st.integers(0, 1), key=st.none() | st.integers(0, 2**64 - 1))
    def pick(self, worker, key):
        group = self.groups[worker]
        host = group.pick(key)
        ready = [host for host in group.hosts if host.endpoint.health is Health.READY]
        serving = ready or [host for host in group.hosts if host.endpoint.health is Health.DRAINING]
        possible = [host for host in serving if not host.ejected]
        if host is None:
            assert not possible
        else:
            assert host in possible
            host.begin()
            self.in_flight.append(host)

    @rule(status=st.sampled_from([200, 500, 503]))
    def finish(self, status):
        if self.in_flight:
            host = self.in_flight.pop()
            host.end()
            group = next((group for group in self.groups if host in group.hosts), None)
            if group is not None:
                group.report(host, status)

    @rule(seconds=st.sampled_from([1.0, 10.0, 40.0]))
    def sweep(self, seconds):
        self.clock.advance(seconds)
        for group in self.groups:
            group.sweep(self.clock())

    @invariant()
    def both_workers_see_the_same_state(self):
        one, two = ({h.address: (h.load, h.ejected) for h in group.hosts} for group in self.groups)
        assert one == two
        assert all(load >= 0 for load, _ in one.values())

    def teardown(self):
        while self.in_flight:
            self.in_flight.pop().end()
        self.both_workers_see_the_same_state()
        assert all(host.load == 0 for group in self.groups for host in group.hosts)


TestTwoWorkers = TwoWorkers.TestCase
TestTwoWorkers.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@settings(max_examples=30, deadline=None)
@given(
    weights=st.lists(st.integers(1, 5), min_size=1, max_size=6),
    algorithm=st.sampled_from([Algorithm.LEAST_REQUEST, Algorithm.ROUND_ROBIN, Algorithm.RANDOM]),
    seed=st.integers(0, 2**32),
)
def test_picks_follow_weights(weights, algorithm, seed):
    some = [endpoint(number, weight=weight) for number, weight in enumerate(weights)]
    group = Group(cluster(some, algorithm), Clock(), Random(seed))
    counts = Counter(group.pick().address for _ in range(2000))
    for host, weight in zip(group.hosts, weights, strict=True):
        share = weight / sum(weights)
        assert abs(counts[host.address] / 2000 - share) <= 6 * (share * (1 - share) / 2000) ** 0.5 + 0.001


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=5), st.integers(0, 100))
def test_loads_add_up_and_go_only_where_somebody_serves(pairs, threshold):
    serving = [min(pair) for pair in pairs]
    totals = [max(pair) for pair in pairs]
    scores = [levels.availability(some, total) for some, total in zip(serving, totals, strict=True)]
    loads = levels.loads(scores)
    assert sum(loads) == (100 if any(scores) else 0)
    assert all(not load or score for load, score in zip(loads, scores, strict=True))
    assert sum(levels.panic_loads(totals)) == (100 if any(totals) else 0)
    if sum(scores) >= 100 or not threshold:
        assert not any(levels.panics(serving, totals, threshold))


@given(
    st.lists(st.sampled_from(["request", "pending", "retry", "-request", "-pending", "-retry"]), max_size=120),
    st.floats(0, 100),
    st.integers(0, 5),
)
def test_retry_budget_agrees_with_its_definition(steps, percent, minimum):
    """The reference counts plainly, as Envoy's RetryBudgetImpl is defined."""
    limits = Limits(private_row(), Clock())
    limits.configure(ConnectionPool(), RetryBudgetPolicy(percent=percent, min_concurrency=minimum))
    named = {"request": limits.requests, "pending": limits.pending, "retry": limits.retries}
    counts = Counter()
    for step in steps:
        name = step.lstrip("-")
        if step == name:
            allowed = name != "retry" or counts["retry"] < max(
                int(percent / 100.0 * (counts["request"] + counts["pending"])), minimum
            )
            assert named[name].try_acquire() is allowed
            counts[name] += allowed
        elif counts[name]:
            named[name].release()
            counts[name] -= 1
        assert named[name].active == counts[name]
