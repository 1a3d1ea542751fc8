"""The `nodemesh` command."""

from __future__ import annotations

import errno
import importlib
import inspect
import io
import sys

import click

from .. import __version__
from .layout import fitted
from .output import CommandError, terminal_width

#: command -> (module, attribute); loaded when it is called or listed.
COMMANDS = {
    "run": ("run", "run"),
    "demo": ("demo", "demo"),
    "example": ("example", "example"),
    "lint": ("lint", "lint"),
    "explain": ("explain", "explain"),
    "test": ("test", "test"),
    "diff": ("diff", "diff"),
    "shadow": ("shadow", "shadow"),
    "record": ("record", "record"),
    "replay": ("replay", "replay"),
    "status": ("show", "status"),
    "services": ("show", "services"),
    "describe": ("describe", "describe"),
    "routes": ("sight", "routes"),
    "clusters": ("sight", "clusters"),
    "endpoints": ("sight", "endpoints"),
    "listeners": ("sight", "listeners"),
    "pods": ("show", "pods"),
    "top": ("traffic", "top"),
    "connections": ("traffic", "connections"),
    "graph": ("show", "graph"),
    "history": ("history", "history"),
    "rollback": ("history", "rollback"),
    "ui": ("traffic", "ui"),
    "doctor": ("doctor", "doctor"),
    "crds": ("crds", "crds"),
    "relay": ("relay", "relay"),
    "migrate": ("migrate", "migrate"),
    "completion": ("completion", "completion"),
    "uninstall": ("uninstall", "uninstall"),
}

#: What a file or device says that takes no more.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Lazy(click.Group):
    """A group that imports a command's module only when it is asked for it."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, attribute = COMMANDS[cmd_name]
        command = getattr(importlib.import_module(f".{module}", __package__), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each with the first sentence of its help, whole; click would cut it to what fits on a line."""
        rows = [(name, _sentence(self.get_command(ctx, name))) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _sentence(command: click.Command | None) -> str:
    text = inspect.cleandoc((command and command.help) or "").partition("\n\n")[0]
    return f"{' '.join(text.split()).partition('. ')[0].rstrip('.')}."


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
