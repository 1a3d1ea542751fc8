import os
import socket
from typing import Any

from nodemesh.node.channel import Channel
from nodemesh.node.listeners import Descriptors, Listeners
from nodemesh.node.store import FdStore, Put, StoreClient, ToSupervisor
from nodemesh.proxy.messages import AddListener, Descriptor, DnsSockets, Message, RemoveListener, UpdateClient
from nodemesh.proxy.peer import ListenerRole
from nodemesh.routing.client import Client

ANNA = Client(namespace="default", name="anna")
SOCKET, NAMESPACE = Descriptor.SOCKET, Descriptor.NAMESPACE


class Supervisor:
    """The real store behind a real socket, pumped by hand; `restart` is a new control process."""

    def __init__(self) -> None:
        self.store = FdStore()
        self.told: list[tuple[Message, int]] = []

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
    listeners.add("a", ListenerRole.OUTBOUND, Descriptors((listener(),), os.dup(0)), ANNA)
    listeners.update("a", ANNA)
    labelled = Client(namespace="default", name="anna", labels={"v": "2"})
    listeners.update("a", labelled)
    listeners.remove("a")
    listeners.remove("a")
    assert supervisor.told == [
        (AddListener(id=1, role=ListenerRole.OUTBOUND, descriptors=(SOCKET, NAMESPACE), client=ANNA), 2),
        (UpdateClient(id=1, client=labelled), 0),
        (RemoveListener(id=1), 0),
    ]
    supervisor.pump()
    assert len(supervisor.store) == 0


def test_a_successor_finds_the_same_socket_under_the_same_number():
    supervisor = Supervisor()
    first = supervisor.restart()
    first.add("gone", ListenerRole.OUTBOUND, Descriptors((listener(),)), ANNA)
    first.add("a", ListenerRole.OUTBOUND, Descriptors((listener(),)), ANNA, ("reviews", 9080))
    port = socket.socket(fileno=os.dup(next(e.fds.sockets[0] for e in first if e.name == "a"))).getsockname()
    supervisor.pump()
    second = supervisor.restart()
    fds = second.left("a")
    assert fds is not None
    second.add("a", ListenerRole.OUTBOUND, fds, ANNA, ("reviews", 9080))
    assert socket.socket(fileno=os.dup(fds.sockets[0])).getsockname() == port
    plain: dict[str, Any] = {"role": ListenerRole.OUTBOUND, "descriptors": (SOCKET,), "client": ANNA}
    assert supervisor.told == [(AddListener(id=2, destination=("reviews", 9080), **plain), 1)]
    second.drop_left()
    assert supervisor.told[1:] == [(RemoveListener(id=1), 0)]
    second.add("new", ListenerRole.OUTBOUND, Descriptors((listener(),)), ANNA)
    assert supervisor.told[-1] == (AddListener(id=3, **plain), 1)
    supervisor.pump()
    assert len(supervisor.store) == 2


def test_a_listener_of_several_sockets_is_handed_on_whole():
    supervisor = Supervisor()
    first = supervisor.restart()
    dns = DnsSockets(slots=(0, 1, 0), families=(4,))
    first.add("dns", ListenerRole.DNS, Descriptors((listener(), listener(), listener()), os.dup(0)), ANNA, dns=dns)
    ports = [socket.socket(fileno=os.dup(fd)).getsockname() for fd in next(iter(first)).fds.sockets]
    supervisor.pump()
    second = supervisor.restart()
    fds = second.left("dns")
    assert fds is not None
    assert [socket.socket(fileno=os.dup(fd)).getsockname() for fd in fds.sockets] == ports
    second.add("dns", ListenerRole.DNS, fds, ANNA, dns=dns)
    names = (SOCKET, SOCKET, SOCKET, NAMESPACE)
    assert supervisor.told == [(AddListener(id=1, role=ListenerRole.DNS, descriptors=names, client=ANNA, dns=dns), 4)]
    second.remove("dns")
    supervisor.pump()
    assert len(supervisor.store) == 0


def test_what_an_older_agent_kept_is_found_by_the_same_keys():
    """A listener's keys in the store outlive the agent that wrote them."""
    supervisor = Supervisor()
    kept = {"listener:dns": "7", "namespace:dns": "", "socket-2:dns": "", "socket-3:dns": ""}
    for key, note in kept.items():
        supervisor.store.put(key, os.dup(0), note)
    listeners = supervisor.restart()
    left = listeners.left("dns")
    assert left is not None and len(left.sockets) == 3 and left.namespace >= 0
    assert dict(left.stored("dns")).keys() == kept.keys()
    listeners.add("dns", ListenerRole.DNS, left, ANNA, dns=DnsSockets(slots=(0, 1, 2)))
    ((message, _),) = supervisor.told
    assert message.id == 7
