"""`nodemesh relay`: list and watch for many agents."""

from __future__ import annotations

import asyncio

import click

from .output import Failure

LOOPBACKS = ("127.0.0.1", "::1", "localhost")


@click.command()
@click.option("--listen", default="0.0.0.0:6444", show_default=True, metavar="ADDR", help="Where agents ask.")
@click.option("--certificate", default="", metavar="FILE", help="The server's certificate chain, PEM.")
@click.option("--key", default="", metavar="FILE", help="Its private key, PEM.")
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="USER",
    default=("system:serviceaccount:nodemesh-system:nodemesh-agent",),
    show_default=True,
    help="Whose tokens are served (repeatable).",
)
@click.option("--audience", default="", help="What tokens must be for (default: the API server).")
@click.option("--kubeconfig", default="", metavar="FILE", help="For a relay outside of the cluster.")
def relay(listen: str, certificate: str, key: str, accounts: tuple[str, ...], audience: str, kubeconfig: str) -> None:
    """Watch the API server once, and serve list and watch to many agents in its own protocol."""
    from ..node.options import StartError, parse_address
    from ..registry.sources.kubernetes import ApiServer, login_by
    from ..relay.relay import RelayError, RelayOptions, serve

    try:
        address = parse_address(listen, 6444)
    except StartError as error:
        raise Failure(str(error)) from None
    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key belong together")
    if not certificate and address.host not in LOOPBACKS:
        raise click.UsageError("agents send their tokens: give --certificate and --key, or listen at 127.0.0.1")
    options = RelayOptions(
        host=address.host, port=address.port, certificate=certificate, key=key, accounts=accounts, audience=audience
    )
    try:
        asyncio.run(serve(ApiServer(login_by(kubeconfig)), options))
    except RelayError as error:
        raise Failure(str(error)) from None
