"""Nothing is left of a lab: after its end, an exception, Ctrl-C, or SIGKILL of its owner."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from nodemesh.datapath.cgroups import find_mount, pids
from nodemesh.lab import Lab, cgroup, sweep
from nodemesh.lab.owner import BPFFS, HOME, RUN, kept, remove
from nodemesh.lab.place import ProcessPlace

OWNER = """
import subprocess, sys, time
from nodemesh.datapath.cgroups import find_mount, pids
from nodemesh.lab import Lab
with Lab("removal") as lab:
    if sys.argv[1] == "kept":
        lab.keep()
    pod = lab.pod("web", labels={"app": "web"})
    lab.service("web", ports=[80], selector={"app": "web"})
    pod.popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
    lab.host.popen(["sleep", "1000"], stdout=subprocess.DEVNULL)
    lab.bpffs.mkdir()
    print(lab.id, flush=True)
    time.sleep(1000)
"""


def start_owner(argument: str = "") -> tuple[subprocess.Popen[str], str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, argument], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert owner.stdout is not None
    lab = owner.stdout.readline().strip()
    assert lab, "the lab did not start"
    return owner, lab


def kill(owner: subprocess.Popen[str]) -> None:
    with owner:
        owner.kill()
        owner.wait(timeout=20)


def traces(lab: str) -> list[Path]:
    """Everything on the machine that carries the lab's name."""
    return [place / lab for place in (find_mount(), RUN, BPFFS) if (place / lab).exists()]


def alive(pids: list[int]) -> list[int]:
    return [pid for pid in pids if Path(f"/proc/{pid}").exists() and "State:\tZ" not in status(pid)]


def status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def members_of(lab: str) -> list[int]:
    return list(pids(find_mount() / lab))


def test_sweep_removes_what_a_killed_owner_left():
    owner, lab = start_owner()
    members = members_of(lab)
    assert len(members) == 5  # node, forwarder, pod, its sleep, the host's sleep
    assert lab not in sweep() and len(traces(lab)) == 3, "a living owner's lab was touched"

    kill(owner)
    assert alive(members) == members and len(traces(lab)) == 3

    assert lab in sweep()
    assert alive(members) == [] and traces(lab) == []


def test_the_next_lab_removes_what_a_killed_owner_left():
    owner, lab = start_owner()
    members = members_of(lab)
    kill(owner)
    with Lab("next"):
        assert alive(members) == [] and traces(lab) == []


def test_ctrl_c_removes_the_lab():
    owner, lab = start_owner()
    members = members_of(lab)
    owner.send_signal(signal.SIGINT)
    with owner:
        owner.wait(timeout=20)
    assert alive(members) == [] and traces(lab) == []


def test_an_exception_removes_the_lab():
    with pytest.raises(ZeroDivisionError), Lab("raise") as lab:
        pod = lab.pod("web")
        raise ZeroDivisionError
    assert alive([pod.pid]) == [] and traces(lab.id) == []


def test_a_forked_child_that_leaves_the_block_removes_nothing():
    with Lab("fork") as lab:
        pod = lab.pod("web")
        child = os.fork()
        if child == 0:
            try:
                lab.__exit__(None, None, None)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert alive([pod.pid]) == [pod.pid] and len(traces(lab.id)) == 2


def test_a_kept_lab_outlives_its_owner_until_it_is_asked_for():
    owner, lab = start_owner("kept")
    members = members_of(lab)
    kill(owner)
    assert lab not in sweep() and alive(members) == members
    assert kept()[lab] == HOME
    remove(lab)
    assert lab not in kept() and alive(members) == [] and traces(lab) == []


def test_a_process_that_enters_when_its_cgroup_was_just_emptied_goes_too(monkeypatch):
    """As one does whose owner is told to end between the process's start and its entry into its cgroup."""
    directory = find_mount() / f"nodemesh-test-entering-{os.getpid()}"
    directory.mkdir()
    entered: list[subprocess.Popen[bytes]] = []
    kill_all = cgroup.kill

    def kill_all_then_let_one_enter(root: Path, timeout: float) -> bool:
        killed = kill_all(root, timeout)
        if not entered:
            entered.append(ProcessPlace("late", directory).popen(["sleep", "1000"]))
            assert list(pids(directory)) == [entered[0].pid]
        return killed

    monkeypatch.setattr(cgroup, "kill", kill_all_then_let_one_enter)
    assert cgroup.remove(directory)
    assert not directory.exists()
    assert entered[0].wait(timeout=20) == -signal.SIGKILL
