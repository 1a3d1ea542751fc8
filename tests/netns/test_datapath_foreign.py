"""Other people's connect programs, as Cilium's socket load balancer: which order, what still works, who is named."""

import os
import socket
import struct
from contextlib import contextmanager

from tests.netns.conftest import View, enrol, finish

from nodemesh.datapath import bpf, probes
from nodemesh.datapath.hooks import HOOKS
from nodemesh.datapath.plan import Planner
from nodemesh.datapath.sync import ServiceMaps
from nodemesh.registry.snapshot import Endpoint, Protocol, Service
from nodemesh.routing.frontend import Frontend

CONNECT4 = next(hook for hook in HOOKS if hook.name == "connect4")


def rewriting(vip: str, endpoint: str) -> bytes:
    """connect4 in raw instructions: `if (ctx->user_ip4 == vip) ctx->user_ip4 = endpoint; return 1;`"""

    def instruction(code: int, registers: int, offset: int, immediate: bytes = bytes(4)) -> bytes:
        return struct.pack("=BBh", code, registers, offset) + immediate

    return b"".join(
        [
            instruction(0x61, 0x12, 4),  # w2 = ctx->user_ip4
            instruction(0x56, 0x02, 2, socket.inet_aton(vip)),  # if w2 != vip goto +2
            instruction(0xB4, 0x03, 0, socket.inet_aton(endpoint)),  # w3 = endpoint
            instruction(0x63, 0x31, 4),  # ctx->user_ip4 = w3
            instruction(0xB7, 0x00, 0, (1).to_bytes(4, "little")),  # return 1
            instruction(0x95, 0x00, 0),
        ]
    )


@contextmanager
def foreign(cgroup, vip, endpoint):
    """Another balancer's program at `cgroup`."""
    program = bpf.program_load(CONNECT4.program_type, CONNECT4.attach_type, rewriting(vip, endpoint), "cil_sock4_conn")
    target = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    link = bpf.link_create(program, target, CONNECT4.attach_type)
    try:
        yield
    finally:
        bpf.link_detach(link)
        for fd in (link, target, program):
            os.close(fd)


def meshed(node):
    """The service in proxy mode, planned as on a host with a foreign balancer."""
    service = Service(
        host="first.default.svc.cluster.local",
        name="first",
        namespace="default",
        endpoints={80: (Endpoint(address=node.first.ip, port=80),)},
    )
    return Planner().plan(
        [(0, View(Frontend(addresses=node.service.addresses, port=80, protocol=Protocol.HTTP, service=service)))],
        reverse=True,
    )


def test_a_program_above_the_pods_runs_after_ours(node, client, maps):
    """RC-01: the usual case, Cilium at the root."""
    vip = node.service.addresses[0]
    ServiceMaps(maps).apply(meshed(node))
    with foreign(node.lab.cgroup_root, vip, node.second.ip):
        process = client.start_dial(vip)
        assert client.answer() == (vip, 80)
        finish(process)
        [found] = probes.foreign_programs(node.cgroup(node.client))
        assert (found.hook, found.name, found.first) == ("connect4", "cil_sock4_conn", False)
        assert probes.foreign_programs(node.lab.cgroup_root, above=True) == [found]


def test_a_program_at_the_pod_that_runs_first_is_named_and_services_are_still_known(node, maps):
    """RC-01."""
    vip = node.service.addresses[0]
    ServiceMaps(maps).apply(meshed(node))
    cgroup = node.cgroup(node.client)
    with foreign(cgroup, vip, node.first.ip), enrol(node, maps, node.client) as client:
        process = client.start_dial(vip)
        assert client.answer() == (vip, 80)
        finish(process)
        [found] = probes.foreign_programs(cgroup)
        assert (found.name, found.first) == ("cil_sock4_conn", True)
        finding = next(one for one in probes.probe(cgroup) if one.name == "foreign programs")
        assert finding.verdict is probes.ProbeVerdict.WARNING
        assert "cil_sock4_conn (connect4" in finding.found
        assert "Cilium" in finding.mend


def test_our_own_programs_are_not_foreign(node, client):
    assert probes.foreign_programs(node.cgroup(node.client)) == []


def test_probing_finds_this_host_fit_and_leaves_nothing(node):
    assert probes.failures(probes.probe()) == []
