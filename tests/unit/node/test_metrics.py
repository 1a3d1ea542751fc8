import os

from nodemesh.node.metrics import Numbers, families, process_use
from nodemesh.telemetry.names import Names

NUMBERS = Numbers(
    ready=True,
    version=7,
    errors=1,
    warnings=2,
    broken=True,
    reloads={"ok": 3, "failed": 1},
    pids={"control": os.getpid(), "worker-0": 0},
    restarts={"control": 0, "worker-0": 4},
    connected=1,
    pods={"enrolled": 2, "not_enrolled": 1},
    log_lines_lost=9,
    kernel={("connect4", "REDIRECTED"): 5},
    pods_dns=2,
    bypasses={("web.default.svc.cluster.local", 80, "tls"): 3},
    names=Names(answered=6, forwarded=5, refused=4, malformed=3, timeouts=2, unreachable=1),
)


def test_every_number_stands_under_its_name():
    found = {family.name: dict(family.samples) for family in families(NUMBERS)}
    assert found["nodemesh_ready"] == {(): True}
    assert found["nodemesh_config_broken"] == {(): True}
    assert found["nodemesh_config_reloads"] == {("ok",): 3, ("failed",): 1}
    assert found["nodemesh_process_restarts"][("worker-0",)] == 4
    assert found["nodemesh_kernel_events"] == {("connect4", "REDIRECTED"): 5}
    assert found["nodemesh_pods_dns_captured"] == {(): 2}
    assert found["nodemesh_dns_queries"] == {
        ("answered",): 6, ("forwarded",): 5, ("refused",): 4, ("malformed",): 3,
    }  # fmt: skip
    assert found["nodemesh_http_rules_bypassed"] == {("web.default.svc.cluster.local", "80", "tls"): 3}
    assert found["nodemesh_dns_failures"] == {("timeout",): 2, ("unreachable",): 1, ("mismatched",): 0}
    assert found["nodemesh_access_log_lines_lost"] == {(): 9}
    assert list(found["nodemesh_process_resident_memory_bytes"]) == [("control",)]


def test_a_process_that_is_gone_uses_nothing():
    seconds, resident = process_use(os.getpid()) or (0, 0)
    assert seconds > 0 and resident > 1_000_000
    assert process_use(2**22 + 1) is None
