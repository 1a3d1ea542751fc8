"""Pods' directories in the layouts that kubelets make, in a folder that stands for the mount."""

import os

import pytest

from nodemesh.datapath import cgroups

UID = "0a1b2c3d-4e5f-6789-abcd-ef0123456789"
UNDERSCORED = UID.replace("-", "_")

LAYOUTS = {
    "cgroupfs, guaranteed": f"kubepods/pod{UID}",
    "cgroupfs, burstable": f"kubepods/burstable/pod{UID}",
    "cgroupfs, besteffort": f"kubepods/besteffort/pod{UID}",
    "systemd, guaranteed": f"kubepods.slice/kubepods-pod{UNDERSCORED}.slice",
    "systemd, burstable": f"kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UNDERSCORED}.slice",
    "kind": f"kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/"
    f"kubelet-kubepods-besteffort-pod{UNDERSCORED}.slice",
}


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_a_pod_is_found_by_its_uid(tmp_path, layout):
    directory = tmp_path / layout
    for container in ("cri-containerd-0123.scope", "crio-0123.scope", "crio-conmon-0123.scope", "0123"):
        (directory / container).mkdir(parents=True)
    (tmp_path / layout.replace("0a1b", "ffff")).mkdir()
    assert cgroups.find_pod(tmp_path, UID) == directory
    assert cgroups.find_pods(tmp_path, {UID, "absent"}) == {UID: directory}


def test_a_pod_that_the_kubelet_has_not_made_is_not_found(tmp_path):
    assert cgroups.find_pod(tmp_path, UID) is None
    assert cgroups.find_pods(tmp_path, {UID}) == {}


STATIC = "0a1b2c3d4e5f67890123456789abcdef"  # of a static pod


@pytest.mark.parametrize("inside", [f"pod{UID.replace('0a1b', 'ffff')}", f"kubepods-burstable-pod{STATIC}.slice"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_nothing_inside_a_pod_is_another_one(tmp_path, layout, inside):
    """A pod whose cgroup is its own to write (cgroup_writable of containerd) may give its cgroups any name."""
    true = tmp_path / layout
    own = true.with_name(inside)
    (own / "container" / f"pod{UID}").mkdir(parents=True)
    (own / f"x-pod{UNDERSCORED}.slice").mkdir()
    assert cgroups.find_pod(tmp_path, UID) is None and cgroups.find_pods(tmp_path, {UID}) == {}
    (true / "container" / f"pod{UID}").mkdir(parents=True)
    assert cgroups.find_pod(tmp_path, UID) == true and cgroups.find_pods(tmp_path, {UID}) == {UID: true}
    assert set(cgroups.all_pods(tmp_path)) == {true, own}


def test_processes_are_those_of_the_whole_subtree(tmp_path):
    container = tmp_path / "pod" / "container"
    container.mkdir(parents=True)
    (tmp_path / "pod" / "cgroup.procs").write_text("")
    (container / "cgroup.procs").write_text(f"0\n{os.getpid()}\n")
    assert list(cgroups.pids(tmp_path / "pod")) == [os.getpid()]
    assert list(cgroups.pids(tmp_path / "gone")) == []


def test_a_pod_with_very_many_cgroups_is_looked_through_for_a_while(tmp_path):
    for number in range(1200):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "cgroup.procs").write_text(f"{number + 1}\n")
    assert len(list(cgroups.pids(tmp_path))) == 999  # and the pod's own directory


@pytest.mark.parametrize(
    ("lines", "mount"),
    [
        ("25 30 0:22 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw", "/sys/fs/cgroup"),
        (
            "25 30 0:22 / /sys/fs/cgroup ro - tmpfs tmpfs ro\n26 25 0:23 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw\n"
            "27 25 0:24 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw",
            "/sys/fs/cgroup/unified",
        ),
        ("27 25 0:24 / /mnt/with\\040space rw - cgroup2 none rw", "/mnt/with space"),
    ],
)
def test_the_mount_of_pure_hybrid_and_private_hierarchies_is_found(tmp_path, lines, mount):
    """RC-06."""
    (tmp_path / "mountinfo").write_text(lines + "\n")
    assert str(cgroups.find_mount(tmp_path / "mountinfo")) == mount


def test_a_host_without_cgroup_v2_is_told_how_to_get_it(tmp_path):
    """RC-06."""
    (tmp_path / "mountinfo").write_text("25 30 0:22 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw\n")
    with pytest.raises(cgroups.NoCgroup2, match="systemd.unified_cgroup_hierarchy=1"):
        cgroups.find_mount(tmp_path / "mountinfo")
