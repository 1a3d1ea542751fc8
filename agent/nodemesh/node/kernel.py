"""The kernel's side of the node: programs and maps loaded, tables kept in step, pods hooked and unhooked."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Container, Iterable, Mapping, Sequence, Set
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from .. import share
from ..config.capture import Capture
from ..datapath import attach, bpf, cgroups, counters, namespaces, probes, traffic
from ..datapath.capture import Captures
from ..datapath.diagnosis import StandingConnection, standing
from ..datapath.ejection import Ejections
from ..datapath.hooks import QUEUE_DEPTH
from ..datapath.loader import LoadError, load, load_sockmap
from ..datapath.maps import LAYOUT, NAMESERVERS, U64, Backend, Maps, PodFlag, unpack_address
from ..datapath.nameservers import inherit
from ..datapath.pins import Pins
from ..datapath.plan import Planner
from ..datapath.selftest import self_test
from ..datapath.sockmap import sweep
from ..datapath.sync import ServiceMaps
from ..datapath.torture.run import TortureVerdict, torture
from ..datapath.uninstall import remove_other_layouts, uninstall
from ..proxy.addresses import show
from ..routing.view import View
from .gaps import Gaps
from .logs import Log
from .options import RunOptions, StartError
from .views import KernelView

log = Log("control")

#: No names are resolved.
NOTHING: Mapping[str, tuple[str, ...]] = {}

#: The first of the ports that a pod's DNS queries arrive at: Istio's own.
DNS_PORT = 15053
LOOPBACKS = ("127.0.0.1", "::1")

#: Seconds after which a data plane that does not beat counts as dead.
HEARTBEAT_LIMIT = 2.0


class Trouble(StrEnum):
    """Whose trouble it is that a pod is not enrolled."""

    STARTING = "starting"  # nobody's: the pod has no process yet, and so nothing to serve
    POD = "pod"  # its own, whatever the agent does
    NODE = "node"  # the agent's or the node's: the pod could be served


#: What the kernel says where the agent or the node has run out of something.
_NODES_ERRORS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})


#: And where a namespace has no IPv6.
_NO_SUCH_ADDRESS = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class NotEnrolled(Exception):
    """A pod cannot be enrolled now; the message is a sentence that says why."""

    def __init__(self, message: str, trouble: Trouble = Trouble.POD) -> None:
        super().__init__(message)
        self.trouble = trouble

    @classmethod
    def by(cls, error: OSError, message: str) -> NotEnrolled:
        return cls(message, Trouble.NODE if error.errno in _NODES_ERRORS else Trouble.POD)


class PodPlace:
    """Where a pod lives on this node: its cgroup and its network namespace. `close` gives the descriptor back."""

    def __init__(self, cgroup: Path, pid: int, namespace: int, inode: int) -> None:
        self.cgroup = cgroup
        self.pid = pid  # of one of its processes
        self.namespace = namespace  # a descriptor
        self.inode = inode  # of the namespace: tells a restarted sandbox from the first

    def close(self) -> None:
        os.close(self.namespace)


def sources() -> Path:
    """The folder with the programs. Raises StartError."""
    try:
        return share.folder("bpf")
    except share.ShareMissing as error:
        raise StartError(str(error)) from None


def shown(backend: Backend) -> str:
    return show((unpack_address(backend.address), backend.port))


def _host_namespaces() -> frozenset[int]:
    """The inodes of the agent's own network namespace and of the host's, whose first process it sees as a DaemonSet."""
    found = {os.stat("/proc/self/ns/net").st_ino}
    with suppress(PermissionError):  # then those of the host's processes in a pod's cgroup cannot be opened, either
        found.add(os.stat("/proc/1/ns/net").st_ino)
    return frozenset(found)


class Kernel:
    """One node's programs and maps, pinned under `bpffs`; pods are known by the uid that their cgroup carries."""

    def __init__(self, options: RunOptions) -> None:
        self._pins = Pins(Path(options.bpffs), LAYOUT)
        self._root = Path(options.cgroup_root) if options.cgroup_root else cgroups.find_mount()
        self._hosts = _host_namespaces()
        try:
            load(sources(), self._pins)
        except LoadError as error:
            for line in error.log.splitlines()[-40:]:
                log.error("loader", said=line)
            raise StartError(f"eBPF cannot be loaded: {error}") from None
        self.maps = Maps(self._pins)
        inherit(self._pins, self.maps)
        self.maps.configure(HEARTBEAT_LIMIT, options.workers, DNS_PORT)
        self.passed: tuple[str, ...] = ()  # service ports that found no room in the maps
        self.out: frozenset[Backend] = frozenset()  # endpoints that only fail, left out for a while
        self.foreign: tuple[str, ...] = ()  # other people's connect programs that run before ours
        beats = [U64.unpack(value)[0] for _, value in self.maps["heartbeats"].items()]
        self.gaps = Gaps(attach.attached_pods(self._pins), max(beats, default=0) / 1e9, HEARTBEAT_LIMIT)
        self._services = ServiceMaps(self.maps)
        self._captures = Captures(self.maps)
        self._planner = Planner()
        self._views: list[tuple[int, KernelView]] = []
        self._restless: frozenset[str] = frozenset()
        self._closed: frozenset[int] = frozenset()  # views
        self._ejections = Ejections()
        self._depth_fd = -1  # of sockmap's program, where that is loaded

    @property
    def worker_fds(self) -> tuple[int, ...]:
        """What workers need: the maps of original destinations, heartbeats, nameservers and sockets."""
        return tuple(self.maps[name].fd for name in ("flows", "heartbeats", "nameservers", "sockets"))

    @property
    def fill(self) -> dict[str, tuple[int, int]]:
        """By service map, the entries that there are and that it has room for."""
        return self._services.fill

    def close(self) -> None:
        self.maps.close()

    def apply(
        self,
        views: Iterable[tuple[int, View]],
        resolved: Mapping[str, tuple[str, ...]] = NOTHING,
        restless: Iterable[str] = (),
        closed: Container[str] = (),
    ) -> None:
        """Bring the service maps to what these views say, with the addresses that hosts have in the DNS. A service port
        for which there is no room passes. The proxy has the connections to hosts that are `restless`; what it should
        have of pods of namespaces that are `closed` is refused while nobody serves."""
        numbered = list(views)
        self._views = [(number, KernelView(view, resolved)) for number, view in numbered]
        self._closed = frozenset(number for number, view in numbered if view.client.namespace in closed)
        self._restless = frozenset(restless)
        self._replan()

    def settle(self, restless: Iterable[str]) -> None:
        """Other hosts are not calm now."""
        if self._restless != (found := frozenset(restless)):
            self._restless = found
            self._replan()

    def _replan(self) -> None:
        planned = self._planner.plan(self._views, bool(self.foreign), self.out, self._restless, self._closed)
        applied = self._services.apply(planned)
        if applied.passed != self.passed:
            self.passed = applied.passed
            if self.passed:
                shown = ", ".join(self.passed[:20])
                log.warning("kernel maps are full, services pass unmeshed", count=len(self.passed), services=shown)

    def find(self, uids: set[str]) -> dict[str, Path]:
        """The cgroups of these pods, as far as they exist."""
        return cgroups.find_pods(self._root, uids)

    def place(self, cgroup: Path) -> PodPlace:
        """A pod's place by its cgroup. Raises NotEnrolled."""
        why = NotEnrolled(f"no process runs in its cgroup {cgroup} yet", Trouble.STARTING)
        for pid in cgroups.pids(cgroup):
            try:
                namespace = namespaces.netns_fd(pid)
            except FileNotFoundError:  # it has ended
                continue
            except OSError as error:
                why = NotEnrolled.by(error, f"its network namespace cannot be opened ({error.strerror})")
                continue
            inode = os.fstat(namespace).st_ino
            if inode in self._hosts:
                # Beside a pod's own processes there may be the runtime's: CRI-O's conmon, for instance.
                why = NotEnrolled("its processes use the host's network, which is never touched")
            elif pid in cgroups.pids(cgroup):
                return PodPlace(cgroup, pid, namespace, inode)
            # else it has ended, and its number may have been another pod's process when the namespace was opened
            os.close(namespace)
        raise why

    @staticmethod
    def lives_in(pid: int, inode: int) -> bool:
        """Whether this process lives, in the network namespace with this inode."""
        try:
            return os.stat(f"/proc/{pid}/ns/net").st_ino == inode
        except OSError:
            return False

    def listeners(self, place: PodPlace) -> list[socket.socket]:
        """Fresh listeners inside the pod, IPv4 first; IPv6 only where the pod has it. Whatever port is free will do: no
        one dials it. Raises NotEnrolled."""
        opened: list[socket.socket] = []
        for address in LOOPBACKS:
            try:
                opened.append(namespaces.open_listener(place.namespace, address, 0))
            except OSError as error:
                if opened and error.errno in _NO_SUCH_ADDRESS:
                    break  # a pod without IPv6
                for sock in opened:
                    sock.close()
                message = f"cannot listen at {address} inside the pod at any port ({error.strerror})"
                raise NotEnrolled.by(error, message) from None
        return opened

    def capture(self, cookie: int, capture: Capture) -> None:
        """Have only these of a namespace's connections taken over; before it is enrolled, so that the first one counts.
        Raises NotEnrolled; what held before holds on."""
        if capture.refused:
            raise NotEnrolled(capture.refused)
        try:
            self._captures.set(cookie, capture)
        except OSError as error:
            message = f"there is no room for what its annotations include and exclude ({error})"
            raise NotEnrolled.by(error, message) from None

    def query_sockets(self, place: PodPlace) -> list[socket.socket]:
        """Fresh UDP sockets inside the pod for its DNS queries: one for each server that it may ask, in the order of
        their slots, IPv4 first; IPv6 only where the pod has it. Raises NotEnrolled."""
        opened: list[socket.socket] = []
        for address in LOOPBACKS:
            for port in range(DNS_PORT, DNS_PORT + NAMESERVERS):
                try:
                    opened.append(namespaces.open_datagrams(place.namespace, address, port))
                except OSError as error:
                    if error.errno in _NO_SUCH_ADDRESS and opened:
                        break  # a pod without IPv6
                    for sock in opened:
                        sock.close()
                    raise NotEnrolled(
                        f"cannot listen at {address}:{port} (UDP) inside the pod ({error.strerror}); "
                        "the pod must leave that port alone"
                    ) from None
        return opened

    def enrol(
        self,
        uid: str,
        place: PodPlace,
        sockets: list[socket.socket],
        view: int,
        flags: PodFlag,
        addresses: Sequence[str],
    ) -> int:
        """Hook the pod's connects and what else the flags say; answers its namespace's cookie. Raises NotEnrolled; then
        nothing is left hooked."""
        cookie = namespaces.netns_cookie(sockets[0])
        try:
            for sock in sockets:
                self.maps.set_listener(cookie, sock)
            self.maps.enrol(cookie, view, flags, addresses)
            attach.steer(self._pins, uid, place.namespace, cookie)
            attach.attach(self._pins, uid, place.cgroup, PodFlag.DNS in flags, PodFlag.SOCKMAP in flags)
        except (OSError, attach.AttachError) as error:
            self.withdraw(uid, cookie)
            raise NotEnrolled(str(error)) from None
        self._look_for_others(place.cgroup)
        return cookie

    def _look_for_others(self, cgroup: Path) -> None:
        """Where another program at a pod runs before ours, it may have rewritten a service's address to an endpoint's:
        from then on endpoints lead to their services, too."""
        found = {
            f"{one.name} ({one.hook})"
            for one in probes.foreign_programs(cgroup)
            if one.first and one.hook in ("connect4", "connect6")
        }
        if not found <= set(self.foreign):
            self.foreign = tuple(sorted(found.union(self.foreign)))
            log.warning("another program runs before ours", cgroup=cgroup, programs=", ".join(self.foreign))
            self._replan()

    def move(self, cookie: int, view: int, flags: PodFlag, addresses: Sequence[str]) -> None:
        """Have an enrolled pod's connects looked up in another view, what else the flags say done or not, and these
        addresses shown as its own."""
        self.maps.enrol(cookie, view, flags, addresses)

    def hook(self, uid: str, cgroup: Path, flags: PodFlag) -> None:
        """Have the hooks for what the flags say at an enrolled pod, and no others. Raises NotEnrolled."""
        try:
            attach.attach(self._pins, uid, cgroup, PodFlag.DNS in flags, PodFlag.SOCKMAP in flags)
        except (OSError, attach.AttachError) as error:
            raise NotEnrolled(str(error)) from None

    def load_sockmap(self) -> None:
        """Load what sockmap needs beside the rest. Raises LoadError: this kernel does not offer it. Takes a moment."""
        load_sockmap(sources(), self._pins)
        if self._depth_fd < 0:
            self._depth_fd = bpf.get(self._pins.programs / QUEUE_DEPTH.name)

    @property
    def sockmap_fds(self) -> tuple[int]:
        """What workers need for it: the program that tells a queue's depth."""
        return (self._depth_fd,)

    def torture(self, abandoned: Callable[[], bool]) -> TortureVerdict:
        """Whether sockmap is sound here, and worth it. Takes some seconds, or less once it is `abandoned`; the workers
        must beat."""
        return torture(self._pins, self._root, abandoned=abandoned)

    def withdraw(self, uid: str, cookie: int) -> None:
        """Unhook the pod: its connects are its own again from now on."""
        attach.detach(self._pins, uid)
        self.maps.withdraw(cookie)
        self._captures.drop(cookie)
        for family in (socket.AF_INET, socket.AF_INET6):
            self.maps.remove_listener(cookie, family)

    def self_test(self) -> str:
        """Why a test connection did not come through, empty where it did. Takes a moment; the workers must beat."""
        finding = self_test(self._pins, self._root)
        return "" if finding.verdict is probes.ProbeVerdict.OK else finding.found

    def counters(self) -> dict[tuple[str, str], int]:
        """The hooks' counts by (hook, reason)."""
        return {
            (hook.name.lower(), reason.name.lower()): count
            for (hook, reason), count in counters.read(self.maps).items()
        }

    def take_traffic(self) -> dict[traffic.Path, traffic.Traffic]:
        """What connections in kernel mode did since the last call. Endpoints that only failed are taken out for a
        while: to be called every few seconds."""
        sweep(self.maps)
        taken = traffic.take(self.maps)
        now = time.monotonic()
        self._ejections.observe(taken, now)
        out = self._ejections.out(now)
        if out != self.out:
            for backend in out - self.out:
                log.warning("endpoint refuses connections, left out for a while", endpoint=shown(backend))
            for backend in self.out - out:
                log.info("endpoint gets connections again", endpoint=shown(backend))
            self.out = out
            self._replan()
        return taken

    def standing(self, namespaces: Iterable[int]) -> list[StandingConnection]:
        """The connections in kernel mode that stand in these network namespaces, by their descriptors. Takes about 5 µs
        each. Raises OSError."""
        origins = self.maps["origins"].fd
        return [one for namespace in namespaces for one in standing(namespace, origins)]

    def remove_other_layouts(self) -> None:
        """Once every pod's hooks are of this version: drop what another version's programs and maps held."""
        for layout in remove_other_layouts(self._pins):
            log.info("programs and maps of another version removed", folder=layout)

    def keep_only(self, cookies: set[int]) -> None:
        """Forget every namespace but these: those of pods that went while no agent ran."""
        for cookie in self.maps.enrolled().keys() - cookies:
            self.maps.withdraw(cookie)
        self._captures.keep(cookies)

    def attached(self) -> set[str]:
        """The pods that are hooked, those of an earlier run included."""
        return attach.attached_pods(self._pins)

    def detach(self, uid: str) -> None:
        attach.detach(self._pins, uid)

    def clear(self, closed: Set[str] = frozenset()) -> None:
        """Take everything out of the kernel again, for an orderly end; hooks go first: nothing new is redirected. Pods
        with the uids in `closed` stay hooked: what the proxy should have of theirs is refused until somebody serves."""
        if not closed & self.attached():
            uninstall(self._pins)
            return
        for uid in self.attached() - closed:
            self.detach(uid)
