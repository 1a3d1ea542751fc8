"""The `nodemesh` command."""

from __future__ import annotations

import errno
import importlib
import io
import sys
from typing import NamedTuple

import click

from .. import __version__
from .layout import fitted
from .output import CommandError, terminal_width


class Entry(NamedTuple):
    """Where a command is, by its own name, and what a list of all says of it in a line of 80 columns."""

    module: str
    words: str


#: Section -> command; a command's module is loaded when it is called.
SECTIONS = {
    "Run it": {
        "run": Entry("run", "Run the mesh on this node until it is stopped (SIGTERM, Ctrl-C)."),
        "demo": Entry("demo", "Show the mesh on this machine, and leave nothing behind."),
        "example": Entry("example", "Write a small mesh to begin with into the new folder DIR."),
        "doctor": Entry("doctor", "Check whether this machine can run it; make a test connection."),
        "relay": Entry("relay", "Watch the API server once, for many agents."),
        "uninstall": Entry("uninstall", "Take everything of the mesh out of this node's kernel."),
    },
    "Before a rule changes": {
        "lint": Entry("lint", "Check files and folders of YAML; - is standard input."),
        "explain": Entry("explain", "Say what becomes of METHOD URL, by the matcher that serves it."),
        "test": Entry("test", "Run the tests of routing in FILE..., without root or network."),
        "diff": Entry("diff", "Say which requests NEW answers otherwise than OLD."),
        "shadow": Entry("shadow", "The same by real traffic: the agent asks CANDIDATE, too."),
        "record": Entry("record", "Write the heads of requests to standard output."),
        "replay": Entry("replay", "Say which recorded heads PATH answers otherwise."),
        "migrate": Entry("migrate", "Print HTTPRoutes for VirtualServices as YAML."),
    },
    "See what it does": {
        "status": Entry("show", "Whether the node serves, and with what; or all agents."),
        "services": Entry("show", "The services, and which way their connections take."),
        "describe": Entry("describe", "What the mesh does with a service or a pod."),
        "routes": Entry("sight", "The rules in the order in which they are tried."),
        "clusters": Entry("sight", "The groups of endpoints that a pod's requests may go to."),
        "endpoints": Entry("sight", "The addresses behind the services, and their state."),
        "listeners": Entry("sight", "What of a pod's connections is taken over, and why."),
        "pods": Entry("show", "The pods: enrolled, or exactly why not."),
        "top": Entry("traffic", "The calls of now, the worst first: rates, failures, durations."),
        "connections": Entry("traffic", "The last requests and connections, newest first."),
        "graph": Entry("show", "The calls so far between workloads and services."),
        "history": Entry("history", "The newest changes of the configuration: what, who, and when."),
        "rollback": Entry("history", "Print objects as YAML as they were before a change."),
        "ui": Entry("traffic", "Open the live page, or say where it is."),
    },
    "Besides": {
        "crds": Entry("crds", "Print the CRDs as YAML, for `kubectl apply -f -`."),
        "completion": Entry("completion", "Print the completion script for a shell."),
    },
}
COMMANDS = {name: entry for section in SECTIONS.values() for name, entry in section.items()}

#: What a file or device says that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Lazy(click.Group):
    """A group that imports a command's module only when it is called, and lists commands by section."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{COMMANDS[cmd_name].module}", __package__)
        command = getattr(module, cmd_name)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, commands in SECTIONS.items():
            with formatter.section(section):
                formatter.write_dl([(name, entry.words) for name, entry in commands.items()])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nodemesh")
def cli() -> None:
    """A sidecarless service mesh for Linux nodes."""


def main() -> None:
    """The console script. What the terminal's encoding has no sign for is shown as `?`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        cli.main(prog_name="nodemesh", standalone_mode=True)
    except CommandError as failure:
        print(fitted(f"nodemesh: {failure}", terminal_width(sys.stderr)), file=sys.stderr)
        sys.exit(1)
    except OSError as error:
        if error.errno not in FULL:
            raise
        print(f"nodemesh: the output cannot be written ({error.strerror})", file=sys.stderr)
        sys.exit(1)
