"""`nodemesh doctor` as a user calls it, on a machine that is fit and on one that is not."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.netns.test_datapath_foreign import foreign

AGENT = Path(__file__).parents[2] / "agent"


def doctor(*options, before=()):
    """The findings by name, and the exit code."""
    done = subprocess.run(
        [*before, sys.executable, "-m", "nodemesh", "doctor", "--format", "json", *map(str, options)],
        env={**os.environ, "PYTHONPATH": str(AGENT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return {one["name"]: one for one in json.loads(done.stdout)}, done.returncode


def left():
    """What a doctor may leave behind."""
    return [
        *Path("/sys/fs/bpf").glob("nodemesh-doctor-*"),
        *Path("/sys/fs/cgroup").glob("**/nodemesh-selftest-*"),
        *Path("/sys/fs/cgroup").glob("**/nodemesh-torture-*"),
    ]


def test_a_fit_machine_passes_with_a_test_connection(node):
    """RC-07, RC-08."""
    findings, code = doctor()
    assert code == 0
    assert findings["self-test"]["verdict"] == findings["sockmap"]["verdict"] == "ok"
    assert "cases passed" in findings["sockmap"]["found"]
    assert not any(one["mend"] for one in findings.values() if one["verdict"] == "ok")
    assert left() == []
    quick, code = doctor("--quick")
    assert code == 0 and quick.keys() == findings.keys() - {"sockmap"}


def test_what_is_missing_is_named_with_its_mend_and_makes_the_exit_code_1(node):
    findings, code = doctor(before=("setpriv", "--bounding-set", "-bpf,-perfmon,-sys_admin"))
    assert code == 1
    lacking = findings["capabilities"]
    assert lacking["verdict"] == "failed"
    assert "CAP_BPF" in lacking["found"] and "run as root" in lacking["mend"]
    assert {findings[name]["verdict"] for name in ("hooks", "kernel", "self-test")} == {"unknown"}, "nothing was tried"


def test_another_user_learns_that_nothing_is_known(node):
    """No false finding: root may well be able to."""
    findings, code = doctor(before=("setpriv", "--reuid", "65534", "--clear-groups"))
    verdicts = {name: one["verdict"] for name, one in findings.items()}
    assert code == 3
    assert "failed" not in verdicts.values() and "warning" not in verdicts.values()
    assert {name for name, verdict in verdicts.items() if verdict == "unknown"} == {
        "capabilities", "hooks", "kernel", "mptcp", "foreign programs", "self-test"
    }  # fmt: skip
    assert all(one["mend"] for one in findings.values() if one["verdict"] == "unknown")


def test_another_balancer_is_named_by_program_hook_and_order(node):
    """RC-01: found at a pod without being told where to look."""
    with foreign(node.cgroup(node.client), node.service.addresses[0], node.second.ip):
        for options in ((), ("--cgroup", node.cgroup(node.client))):
            findings, code = doctor(*options)
            found = findings["foreign programs"]
            assert code == 0 and found["verdict"] == "warning"
            assert "cil_sock4_conn (connect4, id " in found["found"] and "before ours" in found["found"]


def test_a_folder_that_is_no_cgroup_is_said_to_be_none(node, tmp_path):
    findings, _ = doctor("--cgroup", tmp_path)
    assert "cannot be listed" in findings["foreign programs"]["found"]
