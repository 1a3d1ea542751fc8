"""`nodemesh example`: a small mesh as a folder of YAML, to try the other commands on."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from .. import share
from .layout import fitted
from .output import CommandError, terminal_width


@click.command()
@click.argument("folder", metavar="DIR")
def example(folder: str) -> None:
    """Write an example mesh into the new folder DIR: two services, their backends, a canary, retries and a gateway."""
    try:
        source = share.folder("manifests/demo/laptop")
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("__pycache__"))
    except share.ShareMissing as error:
        raise CommandError(str(error)) from None
    except FileExistsError:
        raise CommandError(f"{folder} is there already; name a folder that is not") from None
    except OSError as error:
        raise CommandError(f"{folder} cannot be written ({error.strerror or error})") from None
    written = ", ".join(sorted(path.name for path in Path(folder).iterdir()))
    click.echo(fitted(f"{folder} has {written}", terminal_width()))
    click.echo(f"start its backends with: python3 {folder}/backends.py &")
