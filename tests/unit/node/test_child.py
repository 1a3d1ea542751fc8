import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from nodemesh.node.child import Child, environment


def until(condition, seconds=10.0):
    end = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)
    return found


def test_a_child_is_reaped_and_due_again():
    child = Child("echo", "this", [])  # the standard library's Zen, which ends at once
    child.start(now=100.0)
    assert child.pid
    status = until(lambda: (found := child.reap(100.5)) is not None and [found])
    assert status == [0]
    assert (child.pid, child.restarts, child.due) == (0, 1, 100.5)


def test_children_run_this_very_package_from_any_folder(tmp_path):
    code = "import nodemesh; print(nodemesh.__file__)"
    shown = subprocess.run(
        [sys.executable, "-P", "-c", code], cwd=tmp_path, env=environment(), capture_output=True, text=True
    ).stdout
    import nodemesh

    assert shown.strip() == nodemesh.__file__


def test_a_supervisor_that_is_killed_takes_its_children_along():
    code = (
        "from nodemesh.node.child import Child\n"
        "import time\n"
        "child = Child('sleeper', 'http.server', ['0', '--bind', '127.0.0.1'])\n"
        "child.start(0.0)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment(), text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    until(lambda: b"http.server" in Path(f"/proc/{pid}/cmdline").read_bytes())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    until(lambda: not alive(pid))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_a_child_that_was_stopped_counts_as_hung():
    child = Child("server", "http.server", ["0", "--bind", "127.0.0.1"], limit=2.0)
    child.start(now=0.0)
    try:
        assert not child.hung(1.0)
        child.signal(signal.SIGSTOP)
        until(lambda: "State:\tT" in Path(f"/proc/{child.pid}/status").read_text())
        assert [child.hung(now) for now in (2.0, 3.0)][-1] == "it is stopped"
    finally:
        child.signal(signal.SIGKILL)
        until(lambda: child.reap(4.0) is not None)
    assert not child.hung(5.0)
