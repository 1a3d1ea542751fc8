"""Attaching, adopting, replacing, detaching: whatever happened before, one program per hook, and nothing afterwards."""

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.netns import apps
from tests.netns.conftest import BPF_DIR, PATIENCE, dial, enrol, finish

from nodemesh.datapath import bpf, bpffs, cgroups
from nodemesh.datapath.attach import AttachError, attach, attached, attached_pods, detach
from nodemesh.datapath.hooks import DNS_HOOKS, HOOKS, SK_LOOKUP
from nodemesh.datapath.loader import LoadError, load
from nodemesh.datapath.maps import LAYOUT, EntryMode, MapMismatch, Maps, ServiceEntry, ServiceKey, pack_address
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.uninstall import remove_other_layouts, uninstall


def programs_at(cgroup):
    """How many programs each hook has at the cgroup."""
    fd = os.open(cgroup, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return {hook.name: len(bpf.programs_of_cgroup(fd, hook.attach_type)) for hook in HOOKS}
    finally:
        os.close(fd)


def our_programs(pins):
    """Ids of the pinned programs, by hook."""
    ids = {}
    for hook in HOOKS:
        fd = bpf.get(pins.programs / hook.name)
        ids[hook.name] = bpf.program_info(fd).id
        os.close(fd)
    return ids


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


ONE = {hook.name: 1 for hook in HOOKS}
NONE = {hook.name: 0 for hook in HOOKS}


@pytest.fixture
def own(node):
    """A folder of this test's own, loaded."""
    pins = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-own"), LAYOUT)
    load(BPF_DIR, pins)
    yield pins
    uninstall(pins)


def test_twenty_cycles_leave_one_program_per_hook(node):
    """RC-11."""
    cgroup = node.cgroup(node.client)
    for _ in range(20):
        attach(node.pins, node.client.record.uid, cgroup)
    assert programs_at(cgroup) == ONE
    assert {link.hook for link in attached(node.pins)} == set(ONE)
    detach(node.pins, node.client.record.uid)
    assert programs_at(cgroup) == NONE
    assert attached_pods(node.pins) == set()
    assert not detach(node.pins, node.client.record.uid)


def test_a_newer_load_replaces_programs_in_place_and_keeps_maps(node, own):
    """RC-10, RC-11."""
    cgroup = node.cgroup(node.client)
    attach(own, "pod", cgroup)
    with Maps(own) as maps:
        maps.enrol(4711, view=3)
    before = our_programs(own)
    load(BPF_DIR, own)
    after = our_programs(own)
    assert all(before[name] != after[name] for name in before)
    assert {link.program for link in attached(own)} == set(before.values())  # until they are taken over
    attach(own, "pod", cgroup)
    assert programs_at(cgroup) == ONE
    assert {link.program for link in attached(own)} == set(after.values())
    with Maps(own) as maps:
        assert maps.enrolled() == {4711: 3}


def test_another_layout_takes_the_links_over_and_then_the_old_one_goes(node, own):
    """RC-10, RC-11: an upgrade whose maps look different. No hook is without a program at any time; those that rewrite
    addresses have one, the others both for as long as the older version's connections may need theirs."""
    cgroup = node.cgroup(node.client)
    older = Pins(own.root, LAYOUT - 1)
    load(BPF_DIR, older)
    attach(older, "pod", cgroup)
    before = {link.hook: link.program for link in attached(own)}
    attach(own, "pod", cgroup)
    assert programs_at(cgroup) == {hook.name: 1 if hook.rewrites else 2 for hook in HOOKS}
    assert remove_other_layouts(own) == [str(older.maps.parent)]
    assert programs_at(cgroup) == ONE
    assert {link.hook: link.program for link in attached(own)} == our_programs(own) != before
    assert not older.maps.exists()
    assert remove_other_layouts(own) == []
    Maps(own).close()


def test_two_agents_may_load_at_once(own):
    """RC-12."""
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda _: load(BPF_DIR, own), range(3)))
    assert set(our_programs(own)) == set(ONE)
    assert {path.name for path in own.programs.iterdir()} == {hook.name for hook in (*HOOKS, *DNS_HOOKS, SK_LOOKUP)}


def test_a_listener_that_was_handed_over_serves_on(node, maps):
    """RC-12: the old agent closes its descriptor, the new one has another of the same socket and enters it again."""
    vip = node.service.addresses[0]
    with enrol(node, maps, node.client) as app:
        app.serve(vip, ServiceEntry(EntryMode.PROXY))
        for _ in range(2):
            successor = app.listeners["127.0.0.1"].dup()
            app.listeners["127.0.0.1"].close()
            app.listeners["127.0.0.1"] = successor
            process = app.start_dial(vip)
            assert app.answer() == (vip, 80)
            assert finish(process)[0] == "proxy"
            maps.set_listener(app.cookie, successor)


def test_a_pod_whose_cgroup_was_made_anew_is_hooked_there(node, own):
    parent = node.lab.cgroup_root / "host"
    for name in ("one", "two"):
        (parent / name).mkdir()
    try:
        attach(own, "pod", parent / "one")
        attach(own, "pod", parent / "two")
        assert programs_at(parent / "one") == NONE
        assert programs_at(parent / "two") == ONE
        (parent / "two").rmdir()
        wait_for(lambda: {link.target for link in attached(own)} == {0})  # the kernel lets go a little later
        attach(own, "pod", parent / "one")
        assert programs_at(parent / "one") == ONE
    finally:
        (parent / "one").rmdir()


def test_the_hooks_outlive_their_owner_and_traffic_goes_direct(node, maps):
    """RC-10: an agent that dies by SIGKILL leaves its hooks; its listeners are closed by the kernel, so connections
    pass at once, without waiting for the heartbeat to grow old; the next agent adopts what is there."""
    agent = f"""
import sys, time
from pathlib import Path
from nodemesh.datapath import namespaces
from nodemesh.datapath.attach import attach, steer
from nodemesh.datapath.heartbeat import Heartbeat
from nodemesh.datapath.maps import Maps
from nodemesh.datapath.pins import Pins
pins = Pins(Path({str(node.pins.root)!r}), {LAYOUT})
maps = Maps(pins)
netns = namespaces.netns_fd({node.client.pid})
listener = namespaces.open_listener(netns, "127.0.0.1", 0)
cookie = namespaces.netns_cookie(listener)
maps.set_listener(cookie, listener)
maps.enrol(cookie, 0)
Heartbeat(maps["heartbeats"].fd, 0).beat()
steer(pins, {node.client.record.uid!r}, netns, cookie)
attach(pins, {node.client.record.uid!r}, Path({str(node.cgroup(node.client))!r}))
print("ready", flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    owner = subprocess.Popen([sys.executable, "-c", agent], stdout=subprocess.PIPE, text=True, env=environment)
    assert owner.stdout.readline() == "ready\n"
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert programs_at(node.cgroup(node.client)) == ONE
    vip = node.service.addresses[0]
    maps["services"].update(ServiceKey(0, pack_address(vip), 80).pack(), ServiceEntry(EntryMode.PROXY).pack())
    assert dial(node.client, vip) == ["first", vip, "80"]
    with enrol(node, maps, node.client) as app:
        process = app.start_dial(vip)
        assert app.answer() == (vip, 80)
        assert finish(process)[0] == "proxy"
        assert programs_at(node.cgroup(node.client)) == ONE
    assert programs_at(node.cgroup(node.client)) == NONE


def test_connections_under_way_survive_a_detach(node, maps):
    """RC-12: what is redirected stays so until it ends, and knows what it dialled."""
    vip = node.service.addresses[0]
    code = (
        "import socket\n"
        f"sock = socket.create_connection(({vip!r}, 80), {PATIENCE})\n"
        "print(sock.recv(9).decode(), flush=True)\nprint(sock.recv(9).decode())"
    )
    with enrol(node, maps, node.client) as app:
        app.serve(vip, ServiceEntry(EntryMode.PROXY))
        process = apps.start(app.pod, code)
        listener = app.listeners["127.0.0.1"]
        listener.settimeout(PATIENCE)
        accepted, _ = listener.accept()
        accepted.sendall(b"before")
        assert process.stdout.readline() == "before\n"
    with accepted:
        accepted.sendall(b"after")
    assert finish(process) == ["after"]


def test_uninstall_leaves_nothing(node, own):
    cgroup = node.cgroup(node.client)
    attach(own, "pod", cgroup)
    done = uninstall(own)
    assert done[0] == "detached the hooks of pod pod"
    assert not own.root.exists()
    assert programs_at(cgroup) == NONE
    assert uninstall(own) == []


def test_uninstall_leaves_other_peoples_pins_and_files_alone(node, own, tmp_path):
    theirs = own.root / "theirs"
    fd = bpf.map_create("hash", 4, 4, 1)
    bpf.pin(theirs, fd)
    os.close(fd)
    uninstall(own)
    assert list(own.root.iterdir()) == [theirs]
    theirs.unlink()
    (tmp_path / "layout1").mkdir()
    with pytest.raises(bpffs.NotMounted, match="is not on a BPF file system"):
        uninstall(Pins(tmp_path))
    assert (tmp_path / "layout1").is_dir()


def test_maps_of_another_size_are_rebuilt_and_of_another_shape_refused(own):
    load(BPF_DIR, own, {"services": 16})
    with Maps(own) as maps:
        assert maps["services"].info.max_entries == 16
    (own.maps / "pods").unlink()
    fd = bpf.get(own.maps / "services")
    bpf.pin(own.maps / "pods", fd)
    os.close(fd)
    with pytest.raises(MapMismatch, match="pods has"):
        Maps(own)
    load(BPF_DIR, own)
    Maps(own).close()


def test_what_is_no_cgroup_is_refused_in_one_sentence(node, tmp_path):
    with pytest.raises(AttachError, match="is not a cgroup v2 directory"):
        attach(node.pins, "pod", tmp_path)
    with pytest.raises(AttachError, match="No such file"):
        attach(node.pins, "pod", tmp_path / "absent")
    assert attached_pods(node.pins) == set()


def test_a_source_that_does_not_compile_or_verify_says_so_and_keeps_the_log(node, tmp_path):
    """RC-08."""
    pins = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-broken"), LAYOUT)
    (tmp_path / "include").symlink_to(BPF_DIR / "include")
    for source in BPF_DIR.glob("*.bpf.c"):
        (tmp_path / source.name).write_text(source.read_text())
    broken = tmp_path / "sockops.bpf.c"
    try:
        broken.write_text(broken.read_text().replace("return 1;", "return 1"))
        with pytest.raises(LoadError, match="does not compile") as raised:
            load(tmp_path, pins)
        assert "sockops.bpf.c:" in raised.value.log
        broken.write_text((BPF_DIR / broken.name).read_text().replace("return 1;", "return *(int *)0;"))
        with pytest.raises(LoadError, match="refused nodemesh_sockops") as raised:
            load(tmp_path, pins)
        assert "processed" in raised.value.log
    finally:
        uninstall(pins)


def test_an_empty_folder_of_sources_is_named(node, tmp_path):
    pins = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-empty"), LAYOUT)
    try:
        with pytest.raises(LoadError, match="lacks connect4.bpf.c, "):
            load(tmp_path, pins)
    finally:
        uninstall(pins)


def test_the_lab_pods_are_found_by_uid_and_so_are_their_processes(node):
    uids = {pod.record.uid for pod in (node.client, node.first)}
    found = cgroups.find_pods(node.lab.cgroup_root, uids)
    assert set(found) == uids
    assert node.client.pid in cgroups.pids(found[node.client.record.uid])
