"""`nodemesh relay`: list and watch for many agents."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import click

from .output import CommandError

if TYPE_CHECKING:
    from ..node.logs import Log
    from ..relay.relay import ApiRelay, RelayOptions

#: Seconds between looks at what the relay has.
LOOK_INTERVAL = 0.2

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
    from ..node.kubeconfig import kubeconfig_of
    from ..node.logs import setup
    from ..node.options import StartError, parse_address
    from ..relay.relay import RelayError, RelayOptions

    try:
        address = parse_address(listen, 6444)
        found = kubeconfig_of(kubeconfig, dict(os.environ))
    except StartError as error:
        raise CommandError(str(error)) from None
    if bool(certificate) != bool(key):
        raise click.UsageError("--certificate and --key belong together")
    if not certificate and address.host not in LOOPBACKS:
        raise click.UsageError("agents send their tokens: give --certificate and --key, or listen at 127.0.0.1")
    options = RelayOptions(
        host=address.host, port=address.port, certificate=certificate, key=key, accounts=accounts, audience=audience
    )
    setup("relay")
    try:
        asyncio.run(run(found, options))
    except RelayError as error:
        raise CommandError(str(error)) from None


async def run(kubeconfig: str, options: RelayOptions) -> None:
    """Until it is told to stop. Raises RelayError."""
    from ..node.logs import Log
    from ..node.outages import tell_outages
    from ..registry.sources.kubernetes import ApiServer, login_by
    from ..relay.relay import ApiRelay, serve

    api, log = ApiServer(login_by(kubeconfig)), Log("relay")
    relay = ApiRelay(api, options)
    talk = asyncio.gather(tell_outages(relay.outage, log), tell_readiness(relay, options, log))
    try:
        await serve(relay)
    finally:
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)
        await api.close()


async def tell_readiness(relay: ApiRelay, options: RelayOptions, log: Log) -> None:
    """Say when it listens, and when it knows all that agents ask for."""
    from .. import __version__

    while not relay.port:
        await asyncio.sleep(LOOK_INTERVAL)
    log.info("relay listens", version=__version__, at=f"{options.host}:{relay.port}")
    while relay.server.waiting_for():
        await asyncio.sleep(LOOK_INTERVAL)
    log.info("ready")
