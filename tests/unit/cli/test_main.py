import subprocess
import sys

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
