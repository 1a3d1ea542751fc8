"""Files of configuration as commands read them that ask no agent: what is good counts, what is not is reported."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .client import fetch_bytes
from .output import CommandError

if TYPE_CHECKING:
    from ..registry.snapshot import Snapshot


def read_files(paths: Sequence[str]) -> Snapshot:
    """The snapshot of these files and folders; each finding is a line on standard error, as lint writes it."""
    from ..registry.sources.directory import DirectorySource
    from ..registry.store import Store

    store = Store()
    changes = DirectorySource(paths).scan()
    if changes is not None:
        store.apply("files", changes.changed, changes.removed, changes.problems)
    return _reported(store.snapshot)


def read_text(text: bytes, name: str) -> Snapshot:
    """The same for YAML that came otherwise; `name` is shown as its file."""
    from ..config.load import load_text
    from ..registry.store import Store

    loaded = load_text(text, name)
    return _reported(Store().apply("files", loaded.objects, (), loaded.problems))


def read_candidate(paths: Sequence[str]) -> Snapshot:
    """The same for files and folders, or - for standard input, as an argument names them."""
    if tuple(paths) == ("-",):
        text = sys.stdin.buffer.read()
        if not text.strip():
            raise CommandError("there is nothing on standard input; did the command before it fail?")
        return read_text(text, "<stdin>")
    for path in paths:
        click.Path(exists=True).convert(path, None, None)
    return read_files(paths)


def read_agent(admin: str) -> Snapshot:
    """A running agent's."""
    from ..registry.carry import CarryError, decode_snapshot

    try:
        return decode_snapshot(fetch_bytes(admin, "/snapshot"))
    except CarryError as error:
        raise CommandError(str(error)) from None


def _reported(snapshot: Snapshot) -> Snapshot:
    from .lint import as_line

    for problem in snapshot.problems:
        click.echo(as_line(problem), err=True)
    return snapshot
