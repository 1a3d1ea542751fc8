import os
import socket

from nodemesh.node.channel import Channel
from nodemesh.node.listeners import Listeners
from nodemesh.node.store import FdStore, Put, StoreClient, ToSupervisor
from nodemesh.proxy.messages import AddListener, DnsSockets, RemoveListener, UpdateClient
from nodemesh.routing.client import Client

ANNA = Client(namespace="default", name="anna")


class Supervisor:
    """The real store behind a real socket, pumped by hand; `restart` is a new control process."""

    def __init__(self) -> None:
        self.store = FdStore()
        self.told: list[object] = []

    def restart(self) -> Listeners:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        self.channel: Channel[ToSupervisor] = Channel(ours, ToSupervisor)
        self.store.give(self.channel)
        client = StoreClient(theirs)
        client.load()
        self.told = []
        return Listeners(client, lambda message, fds: self.told.append((message, len(fds))))

    def pump(self) -> None:
        while True:
            try:
                word, fds = self.channel.receive()
            except BlockingIOError:
                return
            if isinstance(word, Put):
                self.store.put(word.name, fds[0], word.note)
            else:
                self.store.drop(word.name)


def listener() -> int:
    return socket.create_server(("127.0.0.1", 0)).detach()


def test_changes_are_announced_once():
    supervisor = Supervisor()
    listeners = supervisor.restart()
    listeners.add("a", (listener(), os.dup(0)), ANNA)
    listeners.update("a", ANNA)
    labelled = Client(namespace="default", name="anna", labels={"v": "2"})
    listeners.update("a", labelled)
    listeners.remove("a")
    listeners.remove("a")
    assert supervisor.told == [
        (AddListener(id=1, client=ANNA), 2),
        (UpdateClient(id=1, client=labelled), 0),
        (RemoveListener(id=1), 0),
    ]
    supervisor.pump()
    assert len(supervisor.store) == 0


def test_a_successor_finds_the_same_socket_under_the_same_number():
    supervisor = Supervisor()
    first = supervisor.restart()
    first.add("gone", (listener(),), ANNA)
    first.add("a", (listener(),), ANNA, ("reviews", 9080))
    port = socket.socket(fileno=os.dup(next(e.fds[0] for e in first if e.name == "a"))).getsockname()
    supervisor.pump()
    second = supervisor.restart()
    fds = second.left("a")
    assert fds is not None
    second.add("a", fds, ANNA, ("reviews", 9080))
    assert socket.socket(fileno=os.dup(fds[0])).getsockname() == port
    assert supervisor.told == [(AddListener(id=2, client=ANNA, destination=("reviews", 9080)), 1)]
    second.drop_left()
    assert supervisor.told[1:] == [(RemoveListener(id=1), 0)]
    second.add("new", (listener(),), ANNA)
    assert supervisor.told[-1] == (AddListener(id=3, client=ANNA), 1)
    supervisor.pump()
    assert len(supervisor.store) == 2


def test_a_listener_of_several_sockets_is_handed_on_whole():
    supervisor = Supervisor()
    first = supervisor.restart()
    dns = DnsSockets(slots=(0, 1), families=(4,))
    first.add("dns", (listener(), os.dup(0), listener()), ANNA, dns=dns)
    ports = [socket.socket(fileno=os.dup(fd)).getsockname() for fd in next(iter(first)).fds[::2]]
    supervisor.pump()
    second = supervisor.restart()
    fds = second.left("dns")
    assert fds is not None
    assert [socket.socket(fileno=os.dup(fd)).getsockname() for fd in fds[::2]] == ports
    second.add("dns", fds, ANNA, dns=dns)
    assert supervisor.told == [(AddListener(id=1, client=ANNA, dns=dns), 3)]
    second.remove("dns")
    supervisor.pump()
    assert len(supervisor.store) == 0
