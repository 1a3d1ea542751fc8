"""`nodemesh uninstall`: nothing of the mesh is left in this machine's kernel."""

from __future__ import annotations

from pathlib import Path

import click

from .output import Failure


@click.command()
@click.option("--run-dir", default="/run/nodemesh", hidden=True)
@click.option("--bpffs", default="/sys/fs/bpf/nodemesh", hidden=True)
def uninstall(run_dir: str, bpffs: str) -> None:
    """Take all hooks, programs and maps out of the kernel. Pods reach each other directly from then on."""
    from ..datapath.maps import LAYOUT
    from ..datapath.pins import Pins
    from ..datapath.uninstall import uninstall as remove
    from ..node.options import StartError
    from ..node.rundir import lock

    try:
        if Path(run_dir).is_dir():
            lock(run_dir)
        done = remove(Pins(Path(bpffs), LAYOUT))
    except StartError as error:
        raise Failure(str(error)) from None
    except PermissionError as error:
        raise Failure(f"{error.filename} is not ours to read; run as root") from None
    for line in done:
        click.echo(line)
    if not done:
        click.echo("nothing of nodemesh is in the kernel")
