"""Files of configuration as commands read them that ask no agent: what is good counts, what is not is reported."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

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


def _reported(snapshot: Snapshot) -> Snapshot:
    from .lint import as_line

    for problem in snapshot.problems:
        click.echo(as_line(problem), err=True)
    return snapshot
