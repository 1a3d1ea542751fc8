"""The lab with real namespaces: pods reach each other, services answer, names resolve, labs do not collide."""

import os
import sys
from pathlib import Path

import pytest

from nodemesh.lab import Lab, LabError, LabPod, LabPort, bookinfo


def serve(pod: LabPod, service: str = "web", version: str = "v1", port: int = 8080) -> None:
    pod.popen([sys.executable, "-IS", bookinfo.__file__, service, version, str(port)])
    pod.wait_listening(port)


def test_a_pod_lives_in_its_cgroup_its_network_and_its_name(lab):
    pod = lab.pod("client")
    seen = pod.python(
        "import os, socket\n"
        "print(open('/proc/self/cgroup').read().splitlines()[-1])\n"
        "print(os.stat('/proc/self/ns/net').st_ino, socket.gethostname())"
    ).split()
    assert seen[0] == f"0::/{lab.id}/kubepods/besteffort/pod{pod.record.uid}/{pod.record.container_id}"
    assert int(seen[1]) == os.stat(f"/proc/{pod.pid}/ns/net").st_ino != os.stat("/proc/self/ns/net").st_ino
    assert seen[2] == "client"
    assert str(pod.pid) in (pod.cgroup / "cgroup.procs").read_text().split()
    assert lab.cgroup_root in pod.cgroup.parents


def test_pods_reach_each_other_over_both_families():
    with Lab("families", dual_stack=True) as lab:
        client, server = lab.pod("client"), lab.pod("server")
        serve(server)
        v4, v6 = server.record.ips
        answers = client.request(f"http://{v4}:8080/") + client.request(f"http://[{v6}]:8080/")
        assert [answer.json()["pod"] for answer in answers] == ["server", "server"]


def test_a_service_spreads_over_its_ready_pods_and_resets_on_a_dead_one(lab):
    client = lab.pod("client")
    pods = [lab.pod(name, labels={"app": "web"}, ports={"http": 8080}) for name in ("web-1", "web-2")]
    lab.service("web", ports=[LabPort(80, "http", name="http")], selector={"app": "web"})
    for pod in pods:
        serve(pod)
    assert {answer.json()["pod"] for answer in client.request("http://web/", count=4)} == {"web-1", "web-2"}

    lab.set_ready(pods[0], False)
    assert {answer.json()["pod"] for answer in client.request("http://web/", count=4)} == {"web-2"}

    lab.delete(pods[1])
    assert "ConnectionRefusedError" in client.request("http://web/")[0].error

    lab.pod("dead", labels={"app": "web"}, ports={"http": 8080})
    assert "ConnectionResetError" in client.request("http://web/")[0].error


def test_names_resolve_as_in_a_cluster(lab):
    shop, other = lab.pod("shop", namespace="shop"), lab.pod("other", namespace="other")
    web = lab.pod("web", namespace="shop", labels={"app": "web"})
    service = lab.service("web", namespace="shop", ports=[80], selector={"app": "web"})
    headless = lab.service("db", namespace="shop", ports=[80], selector={"app": "web"}, addresses=())
    look = "import socket, sys\nprint(*[socket.gethostbyname(name) for name in sys.argv[1:]])"
    assert shop.python(look, "web", "web.shop", "web.shop.svc.cluster.local").split() == list(service.addresses) * 3
    assert other.python(look, "db.shop", "localhost").split() == [web.ip, "127.0.0.1"]
    with pytest.raises(LabError, match="gaierror"):
        other.python(look, "web")
    lab.delete_service(headless)
    with pytest.raises(LabError, match="gaierror"):
        shop.python(look, "db")
    assert "web.shop" not in Path("/etc/hosts").read_text()


def test_manifests_follow_the_pods(lab):
    written = lab.manifests_folder / "lab.yaml"
    pod = lab.pod("client", labels={"app": "client"})
    assert written.read_text() == lab.manifests()
    assert f"uid: {pod.record.uid}" in written.read_text().replace('"', "")
    assert "topology.kubernetes.io/zone: zone-1\n" in written.read_text()
    lab.delete(pod)
    assert "kind: Pod" not in written.read_text()
    assert not pod.cgroup.exists() and not Path(f"/proc/{pod.pid}").exists()


def test_two_labs_at_once_share_addresses_but_nothing_else():
    with Lab("one") as one, Lab("two") as two:
        pods = [lab.pod("web", labels={"app": "web"}) for lab in (one, two)]
        for version, (lab, pod) in enumerate(zip((one, two), pods, strict=True), 1):
            lab.service("web", ports=[8080], selector={"app": "web"})
            serve(pod, version=f"v{version}")
        assert pods[0].ip == pods[1].ip
        clients = [lab.pod("client") for lab in (one, two)]
        assert [client.request("http://web:8080/")[0].json()["version"] for client in clients] == ["v1", "v2"]
        with pytest.raises(LabError, match="runs already"), Lab("one"):
            pass
        assert pods[0].run(["true"]).returncode == 0
