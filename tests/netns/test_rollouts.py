"""Nobody notices a rollout: pods that are gone at SIGTERM at once, and a controller that speaks late."""

from tests.netns.nodes import until
from tests.netns.rollouts import rollouts


def test_rolling_restarts_fail_no_request_and_no_connection():
    """The figures of a hundred restarts, with the real one's timing, are `make bench`'s; here SIGTERM waits until the
    agent knows, so that the machine's load decides nothing."""
    with rollouts("rollouts") as cluster:
        assert cluster.in_kernel(), cluster.modes()
        with cluster.load(requests=50, connections=20) as found:
            cluster.deployment.restart(cluster.knows_that_it_leaves)
            modes = cluster.modes()
            cluster.deployment.restart(cluster.knows_that_it_leaves)
        assert (found["failed"], found["failures"]) == (0, [])
        assert set(found["done"]) == {"requests", "connections"}
        assert all(mode.startswith("proxy: its endpoint ") for mode in modes.values()), modes
        until(cluster.in_kernel, "the service to be calm again")
        with cluster.load(requests=50, connections=20) as found:
            until(cluster.in_kernel, "the kernel to have it")
        assert (found["failed"], found["failures"]) == (0, [])
