"""Meshes of YAML text for tests that compare two of them: what `diff`, a shadow and a replay decide by."""

from __future__ import annotations

from nodemesh.config.load import load_text
from nodemesh.registry.snapshot import Snapshot
from nodemesh.registry.store import Store
from nodemesh.routing.compile import compile_tables
from nodemesh.routing.tables import Tables
from nodemesh.routing.views import Views


def snapshot_of(*texts: str, file: str = "mesh.yaml") -> Snapshot:
    """Nothing in them may be refused."""
    loaded = load_text("".join(texts), file)
    refused = [problem for problem in loaded.problems if problem.refused]
    assert not refused, refused
    return Store().apply("files", loaded.objects)


def tables_of(*texts: str, file: str = "mesh.yaml") -> Tables:
    return compile_tables(snapshot_of(*texts, file=file))


def views_of(*texts: str, file: str = "mesh.yaml") -> Views:
    return Views(tables_of(*texts, file=file))
