"""What is compiled is kept: with an image, or by a node that has compiled it once; nothing else is taken for it."""

import os
import shutil
import subprocess
import sys

import pytest
from tests.netns.conftest import BPF_DIR
from tests.netns.test_datapath_lifecycle import ONE, our_programs

from nodemesh.datapath import bytecode, compiler, probes
from nodemesh.datapath.loader import LoadError, is_compiled, load
from nodemesh.datapath.maps import LAYOUT, Maps
from nodemesh.datapath.pins import Pins
from nodemesh.datapath.uninstall import uninstall

AGENT = BPF_DIR.parent / "agent"


def copied_sources(folder):
    shutil.copytree(BPF_DIR, folder, ignore=shutil.ignore_patterns(bytecode.FOLDER))
    return folder


def no_compiler(*_):
    raise compiler.CompileError("there is no compiler here")


def test_what_was_compiled_beside_the_sources_is_loaded_without_bcc(node, tmp_path, monkeypatch):
    """As in an image: for kernels with and without each option, and not for other sources."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sources = copied_sources(tmp_path / "bpf")
    command = [sys.executable, "-m", compiler.__name__, "--bpf", sources, "--all"]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(AGENT)}, check=True, timeout=60)
    monkeypatch.setattr(compiler, "compile_apart", no_compiler)
    pins = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-image"), LAYOUT)
    try:
        for mptcp in (False, True):
            monkeypatch.setattr(probes, "knows_mptcp", lambda found=mptcp: found)
            assert is_compiled(sources)
            load(sources, pins, {"services": 99})
            assert set(our_programs(pins)) == set(ONE)
        with Maps(pins) as maps:
            assert maps["services"].info.max_entries == 99
        (sources / "include" / "types.h").write_text((BPF_DIR / "include" / "types.h").read_text() + "/* newer */")
        assert not is_compiled(sources)
        with pytest.raises(LoadError, match="no compiler here"):
            load(sources, pins)
    finally:
        uninstall(pins)


def test_a_node_compiles_once(node, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    sources = copied_sources(tmp_path / "bpf")
    pins = Pins(node.lab.bpffs.with_name(node.lab.bpffs.name + "-cached"), LAYOUT)
    try:
        load(sources, pins)
        (kept,) = bytecode.cache().iterdir()
        monkeypatch.setattr(compiler, "compile_apart", no_compiler)
        load(sources, pins)
        kept.chmod(0o666)  # anybody may have written it since
        with pytest.raises(LoadError, match="no compiler here"):
            load(sources, pins)
    finally:
        uninstall(pins)
