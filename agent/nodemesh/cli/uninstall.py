"""`nodemesh uninstall`: nothing of the mesh is left in this machine's kernel, nor in a killed agent's run folder."""

from __future__ import annotations

from pathlib import Path

import click

from .output import CommandError


@click.command()
@click.option("--run-dir", default="/run/nodemesh", hidden=True)
@click.option("--bpffs", default="/sys/fs/bpf/nodemesh", hidden=True)
def uninstall(run_dir: str, bpffs: str) -> None:
    """Take all hooks, programs and maps out of the kernel, and a killed agent's run folder away. Pods reach each other
    directly from then on."""
    from ..datapath.maps import LAYOUT
    from ..datapath.pins import Pins
    from ..datapath.uninstall import uninstall as remove
    from ..node.options import StartError
    from ..node.rundir import clear, lock

    try:
        held = lock(run_dir) if Path(run_dir).is_dir() else None
        done = remove(Pins(Path(bpffs), LAYOUT))
        if held is not None:
            done += [f"removed {path}" for path in clear(run_dir)]
    except StartError as error:
        raise CommandError(str(error)) from None
    except PermissionError as error:
        raise CommandError(f"{error.filename} is not ours to read; run as root") from None
    for line in done:
        click.echo(line)
    if not done:
        click.echo("nothing of nodemesh is here")
