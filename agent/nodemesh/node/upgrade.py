"""From one supervisor to the next: everything in the store changes hands while both serve.

1. The successor connects to the socket in the run folder and is given the store, the lock among it.
2. The predecessor ends its control process at once, which touches the kernel no more; its workers go on.
3. The successor starts its own processes over the same sockets, maps and hooks. Both generations accept.
4. When the successor is ready it says so. The predecessor's workers accept no more, finish what they have within the
   grace, and the predecessor ends.
If the successor dies before step 4, the predecessor starts its control process again as if nothing had happened."""

from __future__ import annotations

import contextlib
import signal
import socket

from .channel import Channel, Closed
from .store import FdStore, Started, StoreClient, ToSupervisor

#: Tells a worker that another one serves in its place.
REPLACED = signal.SIGUSR1

#: The name of the lock in the store; its note says whether the run folder is to be removed at the end.
LOCK = "lock"
OURS = "ours"


def path(run_dir: str) -> str:
    """Where a successor knocks."""
    return f"{run_dir}/upgrade.sock"


class Predecessor:
    """The successor's view of the supervisor that it takes over from."""

    def __init__(self, sock: socket.socket) -> None:
        self._client = StoreClient(sock)

    def load(self, store: FdStore) -> None:
        """Take everything into our own store. Raises Closed."""
        for name, kept in self._client.load().items():
            store.put(name, kept.fd, kept.note)

    def relieve(self) -> None:
        """We serve: let it drain and end."""
        with contextlib.suppress(Closed):
            self._client.started()
        self._client.channel.close()


def knock(run_dir: str) -> Predecessor | None:
    """The supervisor that runs in this folder, if there is one."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        sock.connect(path(run_dir))
    except OSError:
        sock.close()
        return None
    return Predecessor(sock)


class Successor:
    """The predecessor's view of the supervisor that takes over."""

    def __init__(self, sock: socket.socket, store: FdStore) -> None:
        self.channel: Channel[ToSupervisor] = Channel(sock, ToSupervisor)
        store.give(self.channel)

    def fileno(self) -> int:
        return self.channel.fileno()

    def ready(self) -> bool:
        """Whether it serves, once there is something to hear. Raises Closed where it has died."""
        word, _fds = self.channel.receive()
        return isinstance(word, Started)

    def close(self) -> None:
        self.channel.close()
