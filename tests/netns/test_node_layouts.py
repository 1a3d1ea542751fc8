"""An upgrade from a version with other layouts of the maps, which has programs and maps of its own, under 200 requests
a second: the newer fills its maps first, replaces the hooks that rewrite addresses, and lets the others stand until it
is ready."""

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.netns.conftest import BPF_DIR
from tests.netns.test_node_restarts import HOLD, PODS, Crowd, clients, echo, hooks, lab, meshed, shared_agent  # noqa: F401 (fixtures)

from nodemesh.datapath import bytecode
from nodemesh.datapath.hooks import HOOKS
from nodemesh.datapath.maps import LAYOUT
from nodemesh.lab.agent import CODE, Agent

DOWNLOAD = "import urllib.request; print(len(urllib.request.urlopen('http://web/long').read()))"


@pytest.fixture
def older(tmp_path) -> Path:
    """The code of a version whose layouts have another number, as all that tells them apart."""
    unwanted = shutil.ignore_patterns("__pycache__", bytecode.FOLDER)
    shutil.copytree(CODE, tmp_path / "agent", ignore=unwanted)
    shutil.copytree(BPF_DIR, tmp_path / "bpf", ignore=unwanted)
    for file in ("agent/nodemesh/datapath/pins.py", "bpf/include/types.h"):
        path = tmp_path / file
        text, count = re.subn(
            rf"\bLAYOUT( =)? {LAYOUT}$", rf"LAYOUT\1 {LAYOUT - 1}", path.read_text(), flags=re.MULTILINE
        )
        assert count == 1, file
        path.write_text(text)
    return tmp_path / "agent"


@pytest.fixture
def agent(lab, shared_agent, older) -> Iterator[Agent]:  # noqa: F811
    """The older one, running."""
    shared_agent.code = older
    shared_agent.start()
    shared_agent.wait_enrolled(lab.pods.values())
    yield shared_agent
    shared_agent.stop()


def layouts(lab):  # noqa: F811
    return {path.name for path in lab.bpffs.iterdir() if path.name.startswith("layout")}


def start(pod, code, *arguments):
    command = ["python3", "-c", code, *arguments]
    return pod.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_an_upgrade_from_other_layouts_under_load(lab, agent, clients):  # noqa: F811
    """RC-11, RC-12: no request fails, downloads are finished by the old one, connections in kernel mode stay."""
    assert layouts(lab) == {f"layout{LAYOUT - 1}"}
    held = start(clients[1], HOLD, lab.services["default/echo"].addresses[0])
    assert echo(held, "before") == "before"
    download = start(clients[0], DOWNLOAD)
    crowd = Crowd(clients)
    agent.code = CODE
    agent.upgrade()
    assert crowd.finish() == []
    assert download.communicate(timeout=10)[0] == "20000\n"
    assert echo(held, "after") == "after"
    held.kill()
    held.communicate()
    agent.wait_for(lambda: layouts(lab) == {f"layout{LAYOUT}"}, "the other layouts to be removed")
    assert hooks(lab) == len(lab.pods) * (len(HOOKS) + 1)
    assert all(map(meshed, clients[:2]))


def test_a_restart_with_other_layouts_under_load(lab, agent, clients):  # noqa: F811
    """RC-11: one after the other, as where nobody asks for `--replace`."""
    crowd = Crowd(clients)
    assert agent.stop() == 0
    agent.code = CODE
    agent.start()
    agent.wait_enrolled(lab.pods.values())
    assert crowd.finish() == []
    assert layouts(lab) == {f"layout{LAYOUT}"}
    assert hooks(lab) == len(lab.pods) * (len(HOOKS) + 1)


def test_one_that_was_killed_with_other_layouts_is_followed_under_load(lab, agent, clients):  # noqa: F811
    """RC-10, RC-11: only what was under way may fail, though its programs go on until the newer is ready."""
    crowd = Crowd(clients)
    killed = time.monotonic()
    agent.kill()
    over = time.monotonic()
    agent.code = CODE
    agent.start()
    agent.wait_enrolled(lab.pods.values())
    failures = crowd.finish()
    assert [(sent - killed, why) for sent, why in failures if not killed - 0.1 < sent < over + 0.02] == []
    assert len(failures) <= 2 * PODS
    agent.wait_for(lambda: layouts(lab) == {f"layout{LAYOUT}"}, "the other layouts to be removed")
    assert hooks(lab) == len(lab.pods) * (len(HOOKS) + 1)
