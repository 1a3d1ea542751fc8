"""Findings about a host, from files that stand for the kernel's."""

import pytest

from nodemesh.datapath import probes
from nodemesh.datapath.probes import ProbeResult, ProbeVerdict


@pytest.fixture
def status(tmp_path):
    def write(effective: int):
        path = tmp_path / "status"
        path.write_text(f"Name:\tpython3\nCapEff:\t{effective:016x}\n")
        return path

    return write


def test_missing_capabilities_are_named(status):
    finding = probes.capabilities(status(1 << 12 | 1 << 38))
    assert finding.verdict is ProbeVerdict.FAILED
    assert "CAP_SYS_ADMIN, CAP_BPF" in finding.found
    assert finding.mend
    assert probes.capabilities(status(2**41 - 1)).verdict is ProbeVerdict.OK


def test_an_interpreter_is_a_warning(tmp_path):
    switch = tmp_path / "bpf_jit_enable"
    assert probes.jit(switch).verdict is ProbeVerdict.OK
    switch.write_text("0\n")
    assert probes.jit(switch).verdict is ProbeVerdict.WARNING
    switch.write_text("1\n")
    assert probes.jit(switch).verdict is ProbeVerdict.OK


def test_missing_headers_name_the_package(tmp_path, monkeypatch):
    monkeypatch.delenv("BCC_KERNEL_SOURCE", raising=False)
    finding = probes.kernel_headers(tmp_path)
    assert (finding.verdict, finding.mend) == (ProbeVerdict.FAILED, "install linux-libc-dev")
    monkeypatch.setenv("BCC_KERNEL_SOURCE", "/somewhere")
    assert probes.kernel_headers(tmp_path).verdict is ProbeVerdict.OK


def test_type_information_is_not_needed(tmp_path):
    assert probes.btf(tmp_path / "vmlinux").verdict is ProbeVerdict.OK


def test_failures_are_sentences_with_their_mends():
    findings = [
        ProbeResult("a", ProbeVerdict.OK, "fine"),
        ProbeResult("b", ProbeVerdict.FAILED, "b is missing", "install b"),
    ]
    assert probes.failures(findings) == ["b is missing: install b"]
