"""`nodemesh crds`: the custom resource definitions, generated from the configuration's own types."""

from __future__ import annotations

import click


@click.command()
def crds() -> None:
    """Print the CRDs as YAML, for `nodemesh crds | kubectl apply -f -`."""
    from ..config import schema

    click.echo(schema.crds(), nl=False)
