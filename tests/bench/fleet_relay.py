"""The relay of suite `fleet`, in a process of its own: it serves whoever asks, on this machine."""

from __future__ import annotations

import asyncio
import sys

from nodemesh.registry.sources.kubernetes import ApiServer, from_kubeconfig
from nodemesh.relay.relay import ApiRelay, RelayOptions, serve


async def main(config: str, port: int) -> None:
    """Until it is ended."""
    api = ApiServer(lambda: from_kubeconfig(config))
    try:
        await serve(ApiRelay(api, RelayOptions(host="127.0.0.1", port=port)))
    finally:
        await api.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
