"""Thousands of redirected connections through the running agent: each is known, none leaves anything behind."""

import os

from tests.netns.mesh import PORT
from tests.netns.test_mesh import RULES, URL

from nodemesh.datapath import counters
from nodemesh.datapath.maps import LAYOUT, Hook, Maps
from nodemesh.datapath.pins import Pins
from nodemesh.reasons import Reason

COUNT = 1500
CONCURRENCY = 8
RESETS = 300


def descriptors(agent):
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in agent.pids())


def left(maps):
    return len(list(maps["flows"].keys()))


def grown(before, after, hooks, reason):
    """How often hooks have counted a reason meanwhile."""
    return sum(after.get((hook, reason), 0) - before.get((hook, reason), 0) for hook in hooks)


def test_thousands_of_redirected_connections_are_all_known_and_leave_nothing(mesh, pod):
    mesh.apply(RULES.replace("SUBSET", "v1"))
    with Maps(Pins(mesh.lab.bpffs, LAYOUT)) as maps:
        before = counters.read(maps)
        kept = descriptors(mesh.agent) + 4 * CONCURRENCY  # pools, and what each process opens once on first use
        for _ in range(2):
            answers = pod.request(URL, count=COUNT, concurrency=CONCURRENCY)
            unknown = {answer.error or answer.status for answer in answers} - {200}
            assert unknown == set(), "a connection whose destination is not known gets no answer of the service"
            assert {answer.json()["version"] for answer in answers} == {"v1"}
        after = counters.read(maps)
        for hooks, reason in (
            ((Hook.CONNECT4, Hook.CONNECT6), Reason.REDIRECTED),
            ((Hook.SOCKOPS,), Reason.ORIGIN_RECORDED),
        ):
            assert grown(before, after, hooks, reason) >= 2 * COUNT, reason
        assert (Hook.SOCKOPS, Reason.MAP_FULL) not in after
        mesh.agent.wait_for(lambda: left(maps) == 0, "the maps to be empty")
        mesh.agent.wait_for(lambda: descriptors(mesh.agent) <= kept, "the workers to close their sockets")


def test_a_client_that_goes_before_its_connection_is_accepted_leaves_nothing(mesh, pod):
    """Resets in the backlog: connections that the proxy learns of when they are over."""
    mesh.apply(RULES.replace("SUBSET", "v1"))
    address = mesh.lab.services["default/web"].addresses[0]
    code = (
        "import socket, struct, sys\n"
        f"for number in range({RESETS}):\n"
        "    sock = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)\n"
        "    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', number % 2, 0))\n"
        "    sock.close()\n"
    )
    with Maps(Pins(mesh.lab.bpffs, LAYOUT)) as maps:
        before = counters.read(maps)
        pod.python(code, address, str(PORT))
        assert grown(before, counters.read(maps), (Hook.SOCKOPS,), Reason.ORIGIN_RECORDED) >= RESETS
        mesh.agent.wait_for(lambda: left(maps) == 0, "the maps to be empty")
