"""RC-09: sockmap under a whole agent, with real apps: what skips TCP arrives as it would by TCP, who did not ask or
blocks stays on TCP, and whatever dies or is taken back leaves connections and kernel in order."""

import hashlib
import os
import signal
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator

import pytest
from tests.netns.sockmap_apps import APART, DIGEST, FILES, FORWARD, HOLD, KEPT, LARGE, SLOW, UPLOAD, nginx
from tests.netns.test_node_run import until

from nodemesh.datapath import bpf
from nodemesh.datapath.attach import attached
from nodemesh.datapath.hooks import QUEUE_DEPTH, SOCKMAP_HOOKS, SOCKMAP_PROGRAMS
from nodemesh.datapath.maps import LAYOUT, Maps
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.sockmap import Sockmap
from nodemesh.lab import Lab, LabPod
from nodemesh.lab.agent import Agent
from nodemesh.lab.service import LabPort
from nodemesh.proxy.io.sockmap import MAX_DEPTH

ASKS = {"nodemesh.io/sockmap": "enabled"}


RULES = """
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web, namespace: default}
spec:
  hosts: [web]
  http: [{route: [{destination: {host: web}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: digest, namespace: default}
spec:
  hosts: [digest]
  tcp: [{route: [{destination: {host: digest}}]}]
"""


def mesh(sockmap: str) -> str:
    return f"""
apiVersion: nodemesh.io/v1alpha1
kind: MeshConfig
metadata: {{name: mesh}}
spec: {{sockmap: '{sockmap}', l7: always}}
"""


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    piece = bytes(range(251)) * 4177  # no divisor of any buffer's size
    large = (piece * (LARGE // len(piece) + 1))[:LARGE]
    return {"64": large[:64], "1000": large[:1000], "65536": large[:65536], "large": large}


@pytest.fixture(scope="module")
def lab(content, tmp_path_factory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("nginx")
    files = folder / "web" / "files"
    with Lab("sockmap", dual_stack=True) as made:
        web = made.pod("web", labels={"app": "web"})
        nginx(web, folder / "web", 80, FILES)
        files.mkdir()
        for name, data in content.items():
            (files / name).write_bytes(data)
        web.popen(["python3", "-c", DIGEST])
        web.wait_listening(81)
        web.popen(["python3", "-c", APART])
        web.wait_listening(83)
        made.service("web", ports=[80], selector={"app": "web"})
        made.service("apart", ports=[83], selector={"app": "web"})
        made.service("digest", ports=[LabPort(81, name="tcp")], selector={"app": "web"})
        made.pod("plain")
        asks = made.pod("asks", annotations=ASKS)
        nginx(asks, folder / "asks", 82, FORWARD)
        yield made


@pytest.fixture(scope="module")
def agent(lab) -> Iterator[Agent]:
    made = Agent(lab)
    made.apply(RULES, "rules")
    made.start()
    made.wait_enrolled(lab.pods.values())
    yield made


@pytest.fixture
def pod(lab) -> LabPod:
    return lab.pods["default/asks"]


@pytest.fixture
def pins(lab) -> Pins:
    return Pins(lab.bpffs, LAYOUT)


class Counts:
    """The kernel's counters for sockmap, since the last look."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._before = self._read()

    def _read(self) -> Counter[str]:
        page = urllib.request.urlopen(f"http://{self._agent.admin}/metrics", timeout=10).read().decode()
        found: Counter[str] = Counter()
        for line in page.splitlines():
            if line.startswith("nodemesh_kernel_events_total{") and any(
                f'"{one.name}"' in line for one in SOCKMAP_PROGRAMS
            ):
                found[line.split('reason="')[1].split('"')[0]] += int(float(line.split()[-1]))
        return found

    def since(self) -> Counter[str]:
        before, self._before = self._before, self._read()
        return self._before - before


@pytest.fixture
def counts(agent) -> Counts:
    return Counts(agent)


def kept(pod: LabPod, how: str, count: int, host: str = "web") -> str:
    return pod.python(KEPT, how, host, str(count)).strip()


def expected(content, count: int) -> str:
    names = ("65536", "64", "1000")
    return hashlib.sha256(b"".join(content[names[number % 3]] for number in range(count))).hexdigest()


def offered(agent: Agent) -> bool:
    status = agent.get("/status")["sockmap"]
    assert "refused" not in status, status
    rows = {row["name"]: row["sockmap"] for row in agent.get("/pods")}
    return ": on, " in status and rows == {"asks": True, "plain": False, "web": False}


def switch(agent: Agent, sockmap: str) -> None:
    agent.apply(mesh(sockmap), "mesh")
    until(lambda: offered(agent) if sockmap != "off" else agent.get("/status")["sockmap"] == "off")


def served_by_others(agent: Agent, workers: list[int]) -> bool:
    """Whether other processes than these have the tables that are in force."""
    status = agent.get("/status")
    version = status["tables"]["version"]
    return all(row["pid"] not in (0, *workers) and row["applied"] == version for row in status["workers"])


# the tests follow each other: off, auto, and what happens then


def test_it_is_off_until_somebody_switches_it_on(agent, lab, pod, counts, pins, content):
    """Nothing is loaded, attached or counted, though a pod asks for it."""
    assert kept(pod, "nonblocking", 30) == expected(content, 30)
    assert agent.get("/status")["sockmap"] == "off"
    assert not any(row["sockmap"] for row in agent.get("/pods"))
    assert not {one.name for one in SOCKMAP_PROGRAMS} & {path.name for path in pins.programs.iterdir()}
    assert not {one.name for one in SOCKMAP_HOOKS} & {link.hook for link in attached(pins)}
    assert counts.since() == Counter()


def test_auto_offers_it_once_the_torture_has_passed_to_the_pods_that_ask(agent, lab, pins):
    switch(agent, "auto")
    assert "cases passed" in agent.get("/status")["sockmap"]
    hooked = {link.pod for link in attached(pins) if link.hook == "sockops_sockmap"}
    assert hooked == {lab.pods["default/asks"].record.uid}


def test_an_app_that_does_not_block_gets_its_answers_without_tcp(pod, counts, content):
    assert kept(pod, "nonblocking", 300) == expected(content, 300)
    seen = counts.since()
    assert seen["sockmap_joined"] == seen["sockmap_verified"] == 1
    assert seen["sockmap_redirected"] >= 2 * 298, "the first request and its answer go by TCP"


def test_a_connection_whose_first_answer_is_small_stays_on_tcp(pod, counts, content):
    """Small messages gain nothing by it."""
    code = """
import http.client
connection = http.client.HTTPConnection('web', 80, timeout=20)
for name in ['64', '65536'] * 10:
    connection.request('GET', '/' + name)
    assert len(connection.getresponse().read()) == int(name)
"""
    pod.python(code)
    seen = counts.since()
    assert seen["tcp_small"] == seen["sockmap_verified"] == 1
    assert seen["sockmap_begun"] == seen["sockmap_redirected"] == 0


def test_a_large_answer_whose_head_comes_alone_goes_without_tcp(pod, counts):
    """The head says how much is to come."""
    code = """
import http.client
connection = http.client.HTTPConnection('apart', 83, timeout=20)
for _ in range(2):
    connection.request('GET', '/')
    assert len(connection.getresponse().read()) == 1 << 20
"""
    pod.python(code)
    seen = counts.since()
    assert seen["sockmap_begun"] == 1 and not seen["tcp_small"]
    assert seen["sockmap_redirected"] >= 4


def test_it_works_over_ipv6(lab, pod, counts, content):
    address = next(address for address in lab.services["default/web"].addresses if ":" in address)
    assert kept(pod, "nonblocking", 60, address) == expected(content, 60)
    assert counts.since()["sockmap_redirected"] >= 2 * 58


def test_an_app_that_blocks_stays_on_tcp(pod, counts, content):
    assert kept(pod, "blocking", 60) == expected(content, 60)
    seen = counts.since()
    assert seen["tcp_blocking"] == 1
    assert seen["sockmap_joined"] == seen["sockmap_redirected"] == 0


def test_a_pod_that_does_not_ask_stays_on_tcp(lab, counts, content):
    assert kept(lab.pods["default/plain"], "nonblocking", 60) == expected(content, 60)
    assert counts.since() == Counter()


def test_curl_gets_files_of_all_sizes(pod, counts, content, tmp_path):
    names = ["large", "64", "1000", "65536"] * 2
    asked = [word for number, name in enumerate(names) for word in (f"http://web/{name}", "-o", f"{tmp_path}/{number}")]
    assert pod.run(["curl", "-sS", "--fail", *asked], timeout=60).stderr == ""
    for number, name in enumerate(names):
        assert (tmp_path / str(number)).read_bytes() == content[name]
    assert counts.since()["sockmap_redirected"] > LARGE // (1 << 20)


def test_nginx_as_an_edge_triggered_app(pod, counts, content):
    code = """
import http.client, hashlib
connection = http.client.HTTPConnection('127.0.0.1', 82, timeout=20)
for name in ['65536', '64', '1000'] * 60 + ['large'] * 2:
    connection.request('GET', '/' + name)
    print(name, hashlib.sha256(connection.getresponse().read()).hexdigest())
"""
    said = {tuple(line.split()) for line in pod.python(code).splitlines()}
    assert said == {(name, hashlib.sha256(data).hexdigest()) for name, data in content.items()}
    assert counts.since()["sockmap_redirected"] > 2 * 180


def test_a_large_upload_to_a_relayed_port_arrives_whole(pod, counts):
    """By TCP, from which it is spliced: what is relayed is left to that before its first answer, whatever is known of
    the app then."""
    data = bytes(range(256)) * 4096
    wanted = hashlib.sha256(data * (LARGE // len(data))).hexdigest()
    for late in ("0", "0.3"):
        assert pod.python(UPLOAD, str(LARGE), late).split() == [str(LARGE), wanted]
    seen = counts.since()
    assert seen["tcp_small"] + seen["tcp_unverified"] >= 2, "the proxy asked, and the app may have sent before that"
    assert not seen["sockmap_begun"] and not seen["sockmap_redirected"]


def test_an_app_that_does_not_read_has_a_bounded_queue(pod, pins, content):
    with Maps(pins) as maps:
        before = set(maps["pairs"].keys())  # nginx keeps some
        process = pod.popen([sys.executable, "-c", SLOW, str(LARGE)], stdin=-1, stdout=-1, text=True)
        assert process.stdout.readline() == "asked\n"
        (flow,) = set(maps["pairs"].keys()) - before
        sockmap = Sockmap(maps["sockets"], bpf.get(pins.programs / QUEUE_DEPTH.name))
        until(lambda: sockmap.depth(flow) > MAX_DEPTH * 3 // 4)
        deepest = max(sockmap.depth(flow) for _ in range(2000))
    assert deepest <= MAX_DEPTH
    assert process.communicate("go\n", timeout=30)[0].strip() == hashlib.sha256(content["large"]).hexdigest()


def test_a_killed_worker_ends_its_connections_and_no_other(agent, pod, pins, counts, content):
    held = pod.popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True)
    assert held.stdout.readline() == "held\n"
    assert counts.since()["sockmap_redirected"] >= 16
    workers = [row["pid"] for row in agent.get("/status")["workers"]]
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    held.stdin.write("again\n")
    held.stdin.flush()
    assert held.stdout.readline() == "0\n", "each ends at once"
    held.communicate("", timeout=10)
    until(lambda: served_by_others(agent, workers))  # a node stays ready meanwhile

    def goes_by_sockmap() -> bool:
        assert kept(pod, "nonblocking", 60) == expected(content, 60)
        return counts.since()["sockmap_redirected"] >= 2 * 58

    until(goes_by_sockmap)  # connections do again
    with Maps(pins) as maps:
        until(lambda: all(map(maps["sockets"].lookup, maps["pairs"].keys())))


def test_connections_outlive_control_and_new_ones_are_joined_again(agent, pod, counts, content):
    held = pod.popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True)
    assert held.stdout.readline() == "held\n"
    control = agent.get("/status")["control"]["pid"]
    os.kill(control, signal.SIGKILL)
    held.stdin.write("again\n")
    held.stdin.flush()
    assert held.stdout.readline() == "8\n"
    until(lambda: agent.ready() and agent.get("/status")["control"]["pid"] != control)
    until(lambda: offered(agent))
    fresh = Counts(agent)
    held.stdin.write("again\n")
    held.stdin.flush()
    assert held.stdout.readline() == "8\n"
    held.communicate("", timeout=10)
    assert kept(pod, "nonblocking", 60) == expected(content, 60)
    assert fresh.since()["sockmap_redirected"] >= 2 * 58


def test_an_upgrade_takes_the_programs_over(agent, pod, pins, content):
    held = pod.popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True)
    assert held.stdout.readline() == "held\n"
    agent.upgrade()
    held.communicate("again\n", timeout=10)
    until(lambda: offered(agent))
    fresh = Counts(agent)
    assert kept(pod, "nonblocking", 60) == expected(content, 60)
    assert fresh.since()["sockmap_redirected"] >= 2 * 58
    assert len([link for link in attached(pins) if link.hook == "sockops_sockmap"]) == 1


def test_switched_off_it_leaves_what_stands_and_joins_no_more(agent, pod, pins, content):
    held = pod.popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True)
    assert held.stdout.readline() == "held\n"
    switch(agent, "off")
    fresh = Counts(agent)
    assert kept(pod, "nonblocking", 30) == expected(content, 30)
    assert fresh.since() == Counter()
    assert not [link for link in attached(pins) if link.hook == "sockops_sockmap"]
    assert held.communicate("again\n", timeout=10)[0] == "8\n"
    assert fresh.since()["sockmap_redirected"] == 16
    with Maps(pins) as maps:
        until(lambda: not list(maps["pairs"].keys()))


def test_the_agents_end_leaves_nothing(agent, lab, pod, pins):
    """The programs are gone with the last connection that they carried."""
    switch(agent, "on")
    held = pod.popen([sys.executable, "-c", HOLD], stdin=-1, stdout=-1, text=True)
    assert held.stdout.readline() == "held\n"
    programs = []
    for one in SOCKMAP_PROGRAMS:
        fd = bpf.get(pins.programs / one.name)
        programs.append(bpf.program_info(fd).id)
        os.close(fd)
    assert agent.stop() == 0
    held.communicate("again\n", timeout=10)
    assert not lab.bpffs.exists() or not list(lab.bpffs.iterdir())
    until(lambda: not any(map(alive, programs)))


def alive(program: int) -> bool:
    try:
        bpf.program_info_by_id(program)
    except FileNotFoundError:
        return False
    return True
