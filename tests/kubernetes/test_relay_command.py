"""`nodemesh relay` as an operator runs it: what it says, and how it ends."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

from tests.apiserver.running import kubeconfig, running
from tests.apiserver.server import ApiServer

from nodemesh.node.child import environment


@contextmanager
def command(*options: str):
    """`nodemesh relay` at the loopback, which needs no certificate."""
    words = [sys.executable, "-m", "nodemesh", "relay", *options]
    process = subprocess.Popen(words, env=environment(), stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_command_says_what_it_waits_for_and_ends_quietly(tmp_path):
    config = kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9")
    with command("--listen", "127.0.0.1:0", "--kubeconfig", str(config)) as process:
        lines = [process.stderr.readline() for _ in range(2)]
        assert "relay listens" in lines[0] and "at=127.0.0.1:" in lines[0]
        assert "the API server does not answer" in lines[1] and "127.0.0.1:9" in lines[1]
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1] == "" and process.returncode == 0


def test_the_command_says_that_it_is_ready(tmp_path):
    with running(ApiServer()) as server:
        config = kubeconfig(tmp_path / "kubeconfig", server.url)
        with command("--listen", "127.0.0.1:0", "--kubeconfig", str(config)) as process:
            assert "relay listens" in process.stderr.readline()
            assert process.stderr.readline().endswith("relay: ready\n")


def test_what_keeps_the_command_from_starting_is_one_sentence(tmp_path):
    config = str(kubeconfig(tmp_path / "kubeconfig", "http://127.0.0.1:9"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for options, said in (
            (("--listen", address, "--kubeconfig", config), f"nodemesh: cannot listen at {address} ("),
            (("--listen", "127.0.0.1:0", "--kubeconfig", "none"), "nodemesh: there is no kubeconfig at none;"),
        ):
            with command(*options) as process:
                told = process.communicate(timeout=30)[1]
            assert process.returncode == 1 and told.startswith(said) and told.count("\n") == 1, told
