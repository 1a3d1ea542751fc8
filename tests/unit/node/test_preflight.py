import os

import msgspec
import pytest

from nodemesh import share
from nodemesh.datapath import probes
from nodemesh.datapath.loader import LoadError
from nodemesh.datapath.probes import ProbeResult, ProbeVerdict
from nodemesh.node import preflight
from nodemesh.node.kubeconfig import NAMESPACE
from nodemesh.node.options import Ebpf, Expose, GatewayListen, ListenAddress, RunOptions, StartError

EXPOSE = (Expose(host="a", port=1, listen=ListenAddress("127.0.0.1", 0)),)


@pytest.fixture
def config(tmp_path):
    (tmp_path / "mesh.yaml").write_text("")
    return (str(tmp_path),)


def test_a_missing_config_path_is_named():
    with pytest.raises(StartError, match="/no/such/place: there is no such file"):
        preflight.resolve(RunOptions(config=("/no/such/place",), ebpf=Ebpf.OFF, expose=EXPOSE))


def test_an_access_log_that_cannot_be_written_is_named(config, tmp_path):
    def options(path):
        return RunOptions(config=config, ebpf=Ebpf.OFF, expose=EXPOSE, access_log=str(path))

    with pytest.raises(StartError, match="/no/such/log cannot be written .No such file or directory.; name a file"):
        preflight.resolve(options("/no/such/log"))
    for path in ("-", tmp_path / "log"):
        assert preflight.resolve(options(path)).access_log == str(path)


@pytest.mark.parametrize("relay", ["relay", "relay:6444", "https://", "ftp://relay:6444", "https://a b"])
def test_a_relay_is_a_url(tmp_path, relay):
    (tmp_path / "kubeconfig").touch()

    def options(relay):
        at = str(tmp_path / "kubeconfig")
        return RunOptions(kubernetes=True, kubeconfig=at, ebpf=Ebpf.OFF, expose=EXPOSE, relay=relay)

    with pytest.raises(StartError, match="is not the URL of a relay; write it as https://HOST:6444"):
        preflight.resolve(options(relay))
    assert preflight.resolve(options("https://[::1]:6444")).relay


def test_nothing_to_do_is_told(config):
    with pytest.raises(StartError, match="--expose HOST:PORT=ADDR"):
        preflight.resolve(RunOptions(config=config, ebpf=Ebpf.OFF))


def test_a_gateway_that_opens_what_its_listeners_ask_for_has_something_to_do(config, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 65532)
    for ebpf in (Ebpf.OFF, Ebpf.AUTO):
        options = RunOptions(config=config, ebpf=ebpf, gateway={"a": "b"}, gateway_bind="0.0.0.0")
        assert preflight.resolve(options).ebpf is Ebpf.OFF


def test_auto_falls_back_only_where_plain_listeners_are_asked_for(config, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert preflight.resolve(RunOptions(config=config, expose=EXPOSE)).ebpf is Ebpf.OFF
    with pytest.raises(StartError, match="needs root"):
        preflight.resolve(RunOptions(config=config))
    with pytest.raises(StartError, match="eBPF needs root; run as root, or use --ebpf off"):
        preflight.resolve(RunOptions(config=config, expose=EXPOSE, ebpf=Ebpf.REQUIRE))


def test_auto_falls_back_where_the_kernel_refuses_the_programs(config, monkeypatch, tmp_path, caplog):
    """What the probes find is not all that can be wrong; one sentence says it, and require is the one who insists."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(probes, "probe", lambda cgroup, compiled: [])
    monkeypatch.setattr(preflight, "uninstall", lambda pins: [])

    def refuse(folder, pins):
        raise LoadError("the kernel refused it", "verifier's words")

    monkeypatch.setattr(preflight, "load", refuse)
    asked = RunOptions(config=config, expose=EXPOSE, bpffs=str(tmp_path / "nodemesh"))
    assert preflight.resolve(asked).ebpf is Ebpf.OFF
    assert caplog.text.count("the kernel refused it") == 1
    monkeypatch.setattr(share, "PLACES", (tmp_path / "nowhere",))
    assert preflight.resolve(asked).ebpf is Ebpf.OFF
    assert "install nodemesh again" in caplog.text


def test_a_machine_that_cannot_be_examined_runs_without(config, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def fail(cgroup, compiled):
        raise PermissionError(13, "Permission denied", "/sys/fs/cgroup")

    monkeypatch.setattr(probes, "probe", fail)
    assert preflight.resolve(RunOptions(config=config, expose=EXPOSE)).ebpf is Ebpf.OFF
    with pytest.raises(StartError, match="/sys/fs/cgroup"):
        preflight.resolve(RunOptions(config=config, expose=EXPOSE, ebpf=Ebpf.REQUIRE))


def test_what_the_machine_lacks_is_named_with_its_mend(config, monkeypatch, tmp_path):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    lacks = preflight.missing_for_ebpf(RunOptions(config=config, cgroup_root=str(tmp_path)))
    assert lacks is not None and "is no cgroup v2 folder; give --cgroup-root" in lacks
    findings = [
        ProbeResult("cgroup2", ProbeVerdict.FAILED, "cgroup v2 is not mounted", "mount it"),
        ProbeResult("jit", ProbeVerdict.OK, "eBPF is compiled to machine code"),
        ProbeResult("bcc", ProbeVerdict.FAILED, "BCC is missing", "install it"),
    ]
    monkeypatch.setattr(probes, "probe", lambda cgroup, compiled: findings)
    with pytest.raises(StartError, match="cgroup v2 is not mounted: mount it; BCC is missing: install it$"):
        preflight.resolve(RunOptions(config=config, ebpf=Ebpf.REQUIRE))


def test_workers_and_node_are_filled_in(config):
    options = preflight.resolve(RunOptions(config=config, expose=EXPOSE, ebpf=Ebpf.OFF, workers=0))
    assert options.workers == len(os.sched_getaffinity(0))
    assert options.node == os.uname().nodename


def test_a_clusters_gateway_is_of_its_own_namespace(tmp_path):
    (tmp_path / "config").touch()
    listen = (GatewayListen(port=443, listen=ListenAddress("127.0.0.1", 0)),)
    asked = RunOptions(
        kubernetes=True, kubeconfig=str(tmp_path / "config"), ebpf=Ebpf.OFF, gateway={"a": "b"}, gateway_listen=listen
    )
    assert preflight.resolve(asked).client == NAMESPACE
    named = msgspec.structs.replace(asked, client="edge/gateway-1")
    assert preflight.resolve(named).client == "edge/gateway-1"
