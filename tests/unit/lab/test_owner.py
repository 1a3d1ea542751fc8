"""Names tell whose a lab is."""

import os
import subprocess
from pathlib import Path

import pytest

from nodemesh.datapath import cgroups
from nodemesh.lab import Lab, LabError, owner


@pytest.mark.parametrize("name", ["", "Demo", "a_b", "-a", "a/b", "../a"])
def test_a_name_that_cannot_be_part_of_a_path_is_refused(name):
    with pytest.raises(LabError, match="lower-case"):
        owner.identity(name)


def test_a_name_carries_its_owner():
    started = Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19]
    assert owner.identity("demo-1") == f"nodemesh-lab-demo-1-{os.getpid()}-{started}"


def test_a_machine_without_cgroup_v2_is_told_how_to_get_it(monkeypatch):
    def find_mount():
        raise cgroups.NoCgroup2("no cgroup v2 hierarchy is mounted: mount one")

    monkeypatch.setattr(owner, "find_mount", find_mount)
    with pytest.raises(LabError, match="mount one"):
        owner.sweep()


def test_what_is_missing_of_the_tools_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="needs sh, unshare, mount, nsenter, sleep, which"), Lab("image"):
        raise AssertionError("it began")


def test_who_is_not_root_is_told_so(monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LabError, match="run it as root"), Lab("user"):
        pass


def test_an_owner_is_alive_until_it_ends_even_if_nobody_has_asked_for_its_status():
    with subprocess.Popen(["sleep", "100"]) as process:
        started = owner._started(process.pid)
        assert owner._alive(process.pid, started)
        assert not owner._alive(process.pid, started + 1), "the pid was used again"
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not owner._alive(process.pid, started), "a zombie is dead"
    assert not owner._alive(process.pid, started)
