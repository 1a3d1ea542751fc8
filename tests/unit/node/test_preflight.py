import os

import pytest

from nodemesh.node import preflight
from nodemesh.node.options import Address, Ebpf, Expose, RunOptions, StartError

EXPOSE = (Expose(host="a", port=1, listen=Address("127.0.0.1", 0)),)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "mesh.yaml").write_text("")
    return (str(tmp_path),)


def test_a_missing_config_path_is_named():
    with pytest.raises(StartError, match="/no/such/place: there is no such file"):
        preflight.resolve(RunOptions(config=("/no/such/place",), ebpf=Ebpf.OFF, expose=EXPOSE))


def test_nothing_to_do_is_told(config):
    with pytest.raises(StartError, match="--expose HOST:PORT=ADDR"):
        preflight.resolve(RunOptions(config=config, ebpf=Ebpf.OFF))


def test_auto_falls_back_only_where_plain_listeners_are_asked_for(config, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert preflight.resolve(RunOptions(config=config, expose=EXPOSE)).ebpf is Ebpf.OFF
    with pytest.raises(StartError, match="needs root"):
        preflight.resolve(RunOptions(config=config))
    with pytest.raises(StartError, match="eBPF needs root; run as root, or use --ebpf off"):
        preflight.resolve(RunOptions(config=config, expose=EXPOSE, ebpf=Ebpf.REQUIRE))


def test_what_the_machine_lacks_is_named_with_its_mend(config, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    mounts = tmp_path / "mountinfo"
    mounts.write_text("30 23 0:26 / /sys/fs/cgroup rw - cgroup cgroup rw,memory\n")
    monkeypatch.setattr(preflight, "MOUNTS", str(mounts))
    lacks = preflight.missing_for_ebpf(RunOptions(config=config))
    assert lacks is not None and lacks.startswith("cgroup v2 is not mounted; mount it with")
    lacks = preflight.missing_for_ebpf(RunOptions(config=config, cgroup_root=str(tmp_path)))
    assert lacks is not None and "is no cgroup v2 folder" in lacks
    (tmp_path / "cgroup.procs").touch()
    monkeypatch.setattr(preflight, "BTF", "/no/btf")
    lacks = preflight.missing_for_ebpf(RunOptions(config=config, cgroup_root=str(tmp_path)))
    assert lacks is not None and "CONFIG_DEBUG_INFO_BTF" in lacks


def test_the_unified_mount_of_a_hybrid_host_is_found(monkeypatch, tmp_path):
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "30 23 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "31 23 0:27 / /sys/fs/cgroup/unified rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
    )
    monkeypatch.setattr(preflight, "MOUNTS", str(mounts))
    assert preflight.cgroup_root() == "/sys/fs/cgroup/unified"


def test_workers_and_node_are_filled_in(config):
    options = preflight.resolve(RunOptions(config=config, expose=EXPOSE, ebpf=Ebpf.OFF, workers=0))
    assert options.workers == len(os.sched_getaffinity(0))
    assert options.node == os.uname().nodename
