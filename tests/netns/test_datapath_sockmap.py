"""RC-09: the torture passes on this kernel, says what is wrong where something is, and leaves nothing."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from tests.netns.conftest import BPF_DIR, PATIENCE, finish
from tests.netns.test_datapath_lifecycle import ONE, programs_at

from nodemesh.datapath import bpf, cgroups, loader
from nodemesh.datapath.attach import attach, attached, attached_pods, detach
from nodemesh.datapath.hooks import QUEUE_DEPTH, SK_MSG, SOCKMAP_PROGRAMS
from nodemesh.datapath.loader import LoadError, load_sockmap
from nodemesh.datapath.maps import FLOW, PAIR, End, EntryMode, Maps, PodFlag, ServiceEntry
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.sockmap import sweep
from nodemesh.datapath.torture import run
from nodemesh.datapath.torture.run import torture
from nodemesh.node.platform import EbpfPlatform

_SK_MSG = 16  # enum bpf_prog_type

#: `return 0` and `return 1`: SK_DROP and SK_PASS.
VERDICTS = {number: bytes.fromhex(f"b7000000 0{number}000000 95000000 00000000") for number in (0, 1)}


@pytest.fixture(scope="module")
def pins(node) -> Pins:
    load_sockmap(BPF_DIR, node.pins)
    return node.pins


@pytest.fixture
def tortured(pins, node, maps):
    maps.configure(heartbeat_limit=60)

    def tortured(scale: float):
        verdict = torture(pins, node.lab.cgroup_root, beat=True, scale=scale)
        assert attached_pods(pins) == set() and maps.enrolled() == {}
        assert not any(list(maps[name].keys()) for name in ("services", "pairs"))
        if not verdict.wrong:  # connections that were killed in the proxy's backlog leave a record to the LRU
            assert list(maps["flows"].keys()) == []
        assert not list(node.lab.cgroup_root.glob("nodemesh-torture-*"))
        return verdict

    return tortured


def test_it_passes_with_more_of_everything(tortured):
    verdict = tortured(2.0)
    assert verdict.wrong == ""
    assert verdict.gain > 0.0, "it was measured; how much it is stands in the bench"


@pytest.mark.parametrize(
    ("verdict", "sentences"),
    [
        # Where the acknowledgement of each first request is late, connections stay on TCP, and that is what is wrong.
        (1, ("ask how much there is, non-blocking app: ", "no message skipped TCP")),
        (0, ("half-close, non-blocking app: ",)),
    ],
)
def test_it_says_what_is_wrong_where_messages_go_astray(tortured, pins, maps, verdict, sentences):
    """Another program in the place of ours: one that lets all pass, one that drops all."""
    ours = bpf.get(pins.programs / SK_MSG.name)
    other = bpf.program_load(_SK_MSG, SK_MSG.attach_type, VERDICTS[verdict])
    try:
        bpf.program_attach(other, maps["sockets"].fd, SK_MSG.attach_type)
        found = tortured(0.02)
    finally:
        bpf.program_attach(ours, maps["sockets"].fd, SK_MSG.attach_type)
        os.close(ours)
        os.close(other)
    assert found.wrong.startswith(sentences) and not found.worthwhile


def test_a_kernel_that_lets_no_call_return_is_told_of(node, tortured, monkeypatch):
    """As an app that is stopped, which answers as little."""
    monkeypatch.setattr(run, "LONGEST", 1.0)

    over = threading.Event()  # where the machine is slow, it may be before there was anything to stop

    def stop():
        while not over.is_set():
            for cgroup in node.lab.cgroup_root.glob("nodemesh-torture-*"):
                for pid in cgroups.pids(cgroup):
                    os.kill(pid, signal.SIGSTOP)
                    return
            time.sleep(0.005)

    with ThreadPoolExecutor(1) as threads:
        threads.submit(stop)
        try:
            found = tortured(100.0)
        finally:
            over.set()
    assert found.wrong == "the test's process has said nothing for 1 s"


def test_hooks_for_sockmap_come_and_go_beside_the_others(node, pins):
    cgroup = node.cgroup(node.client)
    for wanted in (True, True, False, True):
        attach(pins, "pod", cgroup, sockmap=wanted)
        assert programs_at(cgroup) == ONE | {"sockops": 2 if wanted else 1}
        assert ("sockops_sockmap" in {link.hook for link in attached(pins)}) is wanted
    detach(pins, "pod")
    assert not any(programs_at(cgroup).values())


def test_a_second_load_takes_the_place_of_the_first(pins):
    before = identities(pins)
    load_sockmap(BPF_DIR, pins)
    after = identities(pins)
    assert before.keys() == after.keys() == {one.name for one in SOCKMAP_PROGRAMS}
    assert not set(before.values()) & set(after.values())


@pytest.fixture
def joined(node, pins, maps, client):
    """A redirected connection of an app that does not block, as a worker accepts it: the platform, the connection and
    its peer's address."""
    maps.enrol(client.cookie, 0, PodFlag.SOCKMAP)
    attach(pins, client.pod.record.uid, node.cgroup(client.pod), sockmap=True)
    vip = node.service.addresses[0]
    client.serve(vip, ServiceEntry(EntryMode.PROXY))
    process = client.start_dial(vip)
    listener = client.listeners["127.0.0.1"]
    listener.settimeout(PATIENCE)
    connection, peer = listener.accept()
    connection.settimeout(PATIENCE)
    platform = EbpfPlatform()
    platform.set_maps([os.dup(maps[name].fd) for name in ("flows", "heartbeats", "nameservers", "sockets")], 0)
    assert ends(maps) == [End.APP]
    with connection:
        yield platform, connection, peer
        connection.sendall(b"proxy")
    assert finish(process)[0] == "proxy"


def ends(maps):
    return sorted(found[-1] for found in map(FLOW.unpack, maps["sockets"].keys()))


def test_a_worker_that_was_not_told_of_sockmap_takes_the_app_out_again(joined, maps):
    platform, connection, peer = joined
    assert platform.original_destination(connection, peer) is not None
    assert platform.app_queue(connection) is None
    assert ends(maps) == []


def test_a_server_that_speaks_first_does_so_by_tcp(joined, pins, maps):
    platform, connection, peer = joined
    platform.set_sockmap([bpf.get(pins.programs / QUEUE_DEPTH.name)])
    assert platform.original_destination(connection, peer) is not None
    queue = platform.app_queue(connection)
    assert ends(maps) == [End.APP, End.PROXY]
    assert queue.depth(small=False) < 0, "the app has not sent anything"
    assert ends(maps) == [], "both are plain sockets again"


def identities(pins):
    found = {}
    for one in SOCKMAP_PROGRAMS:
        fd = bpf.get(pins.programs / one.name)
        found[one.name] = bpf.program_info(fd).id
        os.close(fd)
    return found


def test_a_kernel_without_a_field_is_refused_by_name_and_nothing_is_loaded(node, tmp_path):
    """RC-08: features, not versions."""
    folder = tmp_path / "bpf"
    (folder / "include").mkdir(parents=True)
    (folder / "include" / "fields.h").write_text("FIELD(u32, psock, sk_psock, msg_of_tomorrow)")
    own = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-none"))
    with pytest.raises(LoadError, match=r"the kernel has no sk_psock.msg_of_tomorrow"):
        load_sockmap(folder, own)
    assert not own.root.exists()
    assert set(loader.field_offsets(BPF_DIR)) >= {"OFFSET_sk_psock__msg_tot_len", "OFFSET_tcp_sock__copied_seq"}


def test_pairs_whose_sockets_are_gone_are_swept(node, maps: Maps):
    maps["pairs"].update(bytes(FLOW.size), bytes(PAIR.size))
    assert sweep(maps) == 1
    assert list(maps["pairs"].keys()) == []
