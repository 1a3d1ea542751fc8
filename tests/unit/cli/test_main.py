import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from click.testing import CliRunner

from nodemesh import __version__
from nodemesh.cli.main import COMMANDS, cli
from nodemesh.node.child import environment


def nodemesh(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "nodemesh", *arguments]
    return subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name):
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0, result.output
    assert 'default: ""' not in result.output  # empty is nobody's choice


def test_the_list_of_commands_is_whole_at_80_columns():
    lines = CliRunner().invoke(cli, ["--help"], terminal_width=80).output.splitlines()
    for name, entry in COMMANDS.items():
        (line,) = [line for line in lines if line.split()[:1] == [name]]
        assert line.endswith(entry.words) and entry.words.endswith(".") and len(line) <= 79


def test_the_version_is_told():
    assert nodemesh("--version").stdout.strip() == f"nodemesh, version {__version__}"


def test_the_version_is_the_packages(request):
    assert f'version = "{__version__}"' in (request.config.rootpath / "pyproject.toml").read_text()


def test_a_missing_agent_is_one_sentence_and_exit_code_1():
    done = nodemesh("status", "--admin", "127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("nodemesh: no agent answers at 127.0.0.1:9")
    assert len(done.stderr.splitlines()) == 1


def test_crds_are_printed():
    assert nodemesh("crds").stdout.count("kind: CustomResourceDefinition") > 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_get_their_script(shell):
    shown = CliRunner().invoke(cli, ["completion", shell])
    assert shown.exit_code == 0 and "_NODEMESH_COMPLETE" in shown.stdout


def test_output_that_nothing_takes_is_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "nodemesh", "crds"],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 1
    assert done.stderr == "nodemesh: the output cannot be written (No space left on device)\n"


@pytest.mark.parametrize("encoding", ["latin-1", "ascii", "cp1252"])
def test_a_terminal_without_unicode_gets_what_it_can_show(encoding, tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "nodemesh", "explain", "GET", "http://reviews/", "--config", tmp_path],
        env=environment() | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"reviews" in done.stdout


def on_a_terminal(columns: int, folder: Path, *arguments: str) -> str:
    """What a command shows on a terminal of so many columns, errors among it."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    variables = {name: value for name, value in environment().items() if name not in ("COLUMNS", "LINES")}
    command = [sys.executable, "-m", "nodemesh", *arguments]
    with subprocess.Popen(command, env=variables, stdout=theirs, stderr=theirs, stdin=theirs, cwd=folder) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # EIO: nobody has the other end any more
            pass
        process.wait(30)
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("explain", "GET", "http://reviews/", "--config", "mesh", "--as", "default/shop-v1"), "=> route"),
        (("example", "another"), "start its backends"),
        (("services", "--admin", "127.0.0.1:9"), "no agent answers at 127.0.0.1:9"),
        (("doctor", "--quick"), "jit: "),
        (("--help",), "uninstall"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else None,
)
def test_what_a_terminal_shows_fits_it(arguments, said, tmp_path):
    subprocess.run([sys.executable, "-m", "nodemesh", "example", "mesh"], env=environment(), cwd=tmp_path, check=True)
    shown = on_a_terminal(80, tmp_path, *arguments)
    assert said in " ".join(shown.split()) and [line for line in shown.split("\n") if len(line) > 80] == []


INTERRUPTED = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == "click":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
sys.argv[1:] = ["--version"]
from nodemesh.__main__ import main
main()
"""
IGNORED = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"


@pytest.mark.parametrize(
    ("before", "status", "said"),
    [("", -signal.SIGINT, ""), (IGNORED, 0, f"nodemesh, version {__version__}\n")],
    ids=["counts", "is ignored"],
)
def test_ctrl_c_while_modules_are_imported_is_no_traceback(before, status, said):
    done = subprocess.run(
        [sys.executable, "-c", before + INTERRUPTED], env=environment(), capture_output=True, text=True, timeout=30
    )
    assert (done.returncode, done.stdout, done.stderr) == (status, said, "")
