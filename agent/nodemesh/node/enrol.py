"""Enrolment: the pods of this node that are to be in the mesh are hooked, the others are not, whatever happens to them.

Everything follows from comparing what is wanted (the snapshot), what exists (cgroups, namespaces) and what was done.
No event is relied on: pods that were there before the agent, come with it or later, restart or change their labels are
found by looking."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec

from ..admin.state import PodRow
from ..datapath.maps import LAYOUT, NAMESERVERS, PodFlag
from ..datapath.namespaces import netns_cookie
from ..proxy.messages import DnsSockets
from ..proxy.peer import ListenerRole
from ..registry.snapshot import Snapshot, Workload
from ..routing.client import Client
from .kernel import Kernel, NotEnrolled, PodPlace, Trouble
from .listeners import Descriptors, Listeners
from .logs import Log
from .pods import Choice, Custom, choose, client_of

log = Log("control")

#: Which view of the kernel's maps a pod (`namespace/name`) looks its destinations up in.
ViewOf = Callable[[str], int]

FAMILIES = ("4", "6")


class Enrolled(msgspec.Struct, kw_only=True):
    """A hooked pod."""

    uid: str
    cgroup: Path
    pid: int  # of one of its processes, the last time one was looked for
    inode: int  # of its network namespace
    cookie: int  # of its network namespace, as the kernel's maps have it
    view: int
    addresses: tuple[str, ...]  # its own, as the kernel's maps have them
    sockmap: bool
    names: tuple[str, ...]  # of its listeners
    since: float
    began: float  # the same, of CLOCK_MONOTONIC
    without_rules: float  # seconds, before that
    dns: str = ""  # the name of the listener for its DNS queries, where they are taken over
    dns_why_not: str = ""  # why they are not, though they are to be

    @property
    def flags(self) -> PodFlag:
        """What the kernel is to do for it beside its connects."""
        return flags(bool(self.dns), self.sockmap)


class Failing(NamedTuple):
    """A pod that runs and is not as it is wanted, and the sentence why."""

    pod: Workload
    why: str


def flags(dns: bool, sockmap: bool) -> PodFlag:
    return (PodFlag.DNS if dns else PodFlag.NONE) | (PodFlag.SOCKMAP if sockmap else PodFlag.NONE)


class Enrolment:
    """All pods of this node. `reconcile` is called with every snapshot and, since pods come and go unannounced, a few
    times a second besides. `now` is seconds since the epoch."""

    def __init__(
        self,
        kernel: Kernel,
        listeners: Listeners,
        node: str,
        view_of: ViewOf,
        now: Callable[[], float],
        custom: Custom | None = None,
    ) -> None:
        self._kernel = kernel
        self._listeners = listeners
        self._node = node
        self._custom = custom or Custom()
        self._view_of = view_of
        self._now = now
        self._sockmap = False  # the node offers it
        self._choices: dict[str, Choice] = {}
        self._enrolled: dict[str, Enrolled] = {}
        self._leaving: list[str] = []  # listeners of pods that were unhooked
        self._unhooking: list[str] = []  # pods whose DNS is let go of
        self._failed: dict[str, NotEnrolled] = {}  # why a chosen pod is not as it is wanted

    def choose(self, snapshot: Snapshot) -> None:
        """Take in what is wanted now; `reconcile` does it."""
        self._choices = choose(snapshot, self._node, self._custom)

    def offer_sockmap(self, offered: bool) -> None:
        """Whether pods that ask for sockmap get it; `reconcile` does it."""
        self._sockmap = offered

    @property
    def asks_for_sockmap(self) -> bool:
        """Whether any pod that is wanted does."""
        return any(choice.sockmap and not choice.why_not for choice in self._choices.values())

    def clients(self) -> dict[str, Client]:
        """The pods that are wanted, as routing asks for them, by `namespace/name`."""
        return {key: client_of(choice.workload) for key, choice in self._choices.items() if not choice.why_not}

    def client_of(self, cookie: int) -> Client | None:
        """The enrolled pod whose network namespace has this cookie."""
        for key, enrolled in self._enrolled.items():
            if enrolled.cookie == cookie and key in self._choices:
                return client_of(self._choices[key].workload)
        return None

    def namespaces(self) -> list[tuple[int, int, float]]:
        """The enrolled pods' network namespaces: cookies, descriptors, and since when they have been ours, in seconds
        of CLOCK_MONOTONIC."""
        return [
            (enrolled.cookie, self._listeners.namespace(enrolled.names[0]), enrolled.began)
            for enrolled in self._enrolled.values()
        ]

    def reconcile(self) -> None:
        """Make what is done equal what is wanted, as far as it can be now. What fails for a pod fails for it alone."""
        self._finish_leaving()
        wanted = {key: choice for key, choice in self._choices.items() if not choice.why_not}
        places = {enrolled.uid: enrolled.cgroup for enrolled in self._enrolled.values() if enrolled.cgroup.exists()}
        missing = {choice.uid for choice in wanted.values()} - places.keys()
        if missing:
            places |= self._kernel.find(missing)
        for key, enrolled in list(self._enrolled.items()):
            choice = wanted.get(key)
            if choice is None or choice.uid != enrolled.uid:
                self._withdraw(key, "it left the mesh or this node")
            elif places.get(enrolled.uid) != enrolled.cgroup:
                self._withdraw(key, "its cgroup is gone")
        before, self._failed = self._failed, {}
        for key, choice in wanted.items():
            try:
                self._keep(key, choice, places.get(choice.uid))
            except NotEnrolled as error:
                self._failed[key] = error
            except OSError as error:
                self._failed[key] = NotEnrolled.by(error, str(error))
        for key, failed in self._failed.items():
            if failed.trouble is not Trouble.STARTING and str(failed) != str(before.get(key)):
                log.warning("pod cannot be enrolled", pod=key, why=failed)

    def closed(self) -> set[str]:
        """The uids of the hooked pods that are refused while nobody serves."""
        return {
            enrolled.uid
            for key, enrolled in self._enrolled.items()
            if key in self._choices and self._choices[key].closed
        }

    def finish_start(self) -> None:
        """After the first reconcile: unhook what an earlier run had hooked and nobody wants any more."""
        known = {enrolled.uid for enrolled in self._enrolled.values()}
        for uid in self._kernel.attached() - known:
            log.info("hooks of an earlier run taken away", pod_uid=uid)
            self._kernel.detach(uid)
        self._kernel.keep_only({enrolled.cookie for enrolled in self._enrolled.values()})

    def waiting(self) -> dict[str, str]:
        """The pods that could be served but for this node's own trouble, with the reasons: readiness waits for these,
        and for no pod that stands in its own way."""
        return {key: str(error) for key, error in self._failed.items() if error.trouble is Trouble.NODE}

    def failing(self) -> list[Failing]:
        """The pods that run and are not as they are wanted, whoever is to blame."""
        return [
            Failing(self._choices[key].workload, str(error))
            for key, error in sorted(self._failed.items())
            if error.trouble is not Trouble.STARTING
        ]

    def rows(self) -> list[PodRow]:
        """/pods."""
        rows = []
        for key in sorted(self._choices):
            choice = self._choices[key]
            enrolled = self._enrolled.get(key)
            rows.append(
                PodRow(
                    namespace=choice.workload.namespace,
                    name=choice.workload.name,
                    addresses=choice.workload.addresses,
                    enrolled=enrolled is not None,
                    sockmap=enrolled is not None and enrolled.sockmap,
                    why_not=choice.why_not or str(self._failed.get(key, "")),
                    cgroup=str(enrolled.cgroup) if enrolled is not None else "",
                    dns=enrolled is not None and bool(enrolled.dns),
                    dns_why_not=enrolled.dns_why_not if enrolled is not None else "",
                    since=enrolled.since if enrolled is not None else 0.0,
                    without_rules=enrolled.without_rules if enrolled is not None else None,
                    capture=choice.workload.capture.shown(),
                )
            )
        return rows

    def _keep(self, key: str, choice: Choice, cgroup: Path | None) -> None:
        """Enrol a pod, or bring an enrolled one up to date. Raises NotEnrolled."""
        client = client_of(choice.workload)
        enrolled = self._enrolled.get(key)
        if enrolled is not None and not self._moved(enrolled):
            for name in (*enrolled.names, *filter(None, [enrolled.dns])):
                self._listeners.update(name, client)
            self._kernel.capture(enrolled.cookie, choice.workload.capture)
            told = self._view_of(key), choice.workload.addresses
            if told != (enrolled.view, enrolled.addresses):
                enrolled.view, enrolled.addresses = told
                self._kernel.move(enrolled.cookie, enrolled.view, enrolled.flags, enrolled.addresses)
            self._keep_dns(key, enrolled, choice, client)
            self._keep_sockmap(key, enrolled, choice)
            return
        if enrolled is not None:
            self._withdraw(key, "its network namespace was made again")
        if cgroup is None:
            raise NotEnrolled(f"its cgroup (pod{choice.uid}) does not exist yet", Trouble.STARTING)
        place = self._kernel.place(cgroup)
        try:
            self._enrol(key, choice, client, place)
        finally:
            place.close()

    def _moved(self, enrolled: Enrolled) -> bool:
        """Whether the pod's processes live in another namespace than the one with our listeners (a new sandbox). A pod
        without processes has not moved."""
        if self._kernel.lives_in(enrolled.pid, enrolled.inode):
            return False
        try:
            place = self._kernel.place(enrolled.cgroup)
        except NotEnrolled:
            return False
        place.close()
        enrolled.pid = place.pid
        return place.inode != enrolled.inode

    def _enrol(self, key: str, choice: Choice, client: Client, place: PodPlace) -> None:
        names = tuple(f"{choice.uid}/{place.inode}/{family}/{LAYOUT}" for family in FAMILIES)
        left = [fds for name in names if (fds := self._listeners.left(name)) is not None]
        sockets = [socket.socket(fileno=fds.sockets[0]) for fds in left] or self._kernel.listeners(place)
        view = self._view_of(key)
        began = time.monotonic()
        sockmap = choice.sockmap and self._sockmap
        dns, why_not = self._open_dns(choice, place, client)
        try:
            self._kernel.capture(netns_cookie(sockets[0]), choice.workload.capture)
            addresses = choice.workload.addresses
            cookie = self._kernel.enrol(choice.uid, place, sockets, view, flags(bool(dns), sockmap), addresses)
        except NotEnrolled:
            self._listeners.remove(dns)
            for sock in sockets:
                if left:
                    sock.detach()
                else:
                    sock.close()
            raise
        for number, sock in enumerate(sockets):
            listening = sock.detach()
            fds = left[number] if left else Descriptors((listening,), os.dup(place.namespace))
            self._listeners.add(names[number], ListenerRole.OUTBOUND, fds, client)
        gap = self._kernel.gaps.before(choice.uid, place.pid, choice.closed)
        self._enrolled[key] = Enrolled(
            uid=choice.uid,
            cgroup=place.cgroup,
            pid=place.pid,
            inode=place.inode,
            cookie=cookie,
            view=view,
            addresses=addresses,
            sockmap=sockmap,
            names=names[: len(sockets)],
            since=self._now(),
            began=began,
            without_rules=gap,
            dns=dns,
            dns_why_not=why_not,
        )
        told = {"dns": "taken over"} if dns else {}
        log.info("pod enrolled", pod=key, without_rules=f"{gap:.1f}s", **told)
        if why_not:
            log.warning("the pod's DNS is left alone", pod=key, why=why_not)

    def _open_dns(self, choice: Choice, place: PodPlace, client: Client) -> tuple[str, str]:
        """Listen for a pod's DNS queries, if it is to be so, by what a predecessor left or new: the listener's name,
        and why there is none."""
        if not choice.dns:
            return "", ""
        name = f"{choice.uid}/{place.inode}/dns"
        fds = self._listeners.left(name)
        if fds is None:
            try:
                sockets = tuple(sock.detach() for sock in self._kernel.query_sockets(place))
            except NotEnrolled as error:
                return "", str(error)
            fds = Descriptors(sockets, os.dup(place.namespace))
        slots = tuple(number % NAMESERVERS for number in range(len(fds.sockets)))
        families = sorted({6 if ":" in address else 4 for address in choice.workload.addresses})
        self._listeners.add(name, ListenerRole.DNS, fds, client, dns=DnsSockets(slots=slots, families=tuple(families)))
        return name, ""

    def _keep_dns(self, key: str, enrolled: Enrolled, choice: Choice, client: Client) -> None:
        """Take an enrolled pod's DNS over, or let go of it, as is wanted now. Raises NotEnrolled."""
        if choice.dns == bool(enrolled.dns):
            enrolled.dns_why_not = ""
        elif choice.dns:
            self._take_dns(key, enrolled, choice, client)
        else:
            # Queries are the pod's own from now on; those on their way still get their answers.
            self._leaving.append(enrolled.dns)
            enrolled.dns = ""
            self._kernel.move(enrolled.cookie, enrolled.view, enrolled.flags, enrolled.addresses)
            self._unhooking.append(key)
            log.info("the pod's DNS is let go of", pod=key)

    def _keep_sockmap(self, key: str, enrolled: Enrolled, choice: Choice) -> None:
        """Have bytes of an enrolled pod's new connections skip TCP, or not, as is wanted now; those that stand go on as
        they are. Raises NotEnrolled."""
        wanted = choice.sockmap and self._sockmap
        if wanted == enrolled.sockmap:
            return
        enrolled.sockmap = wanted
        try:
            self._kernel.hook(enrolled.uid, enrolled.cgroup, enrolled.flags)
        except NotEnrolled:  # the other hooks are gone, too
            self._withdraw(key, "the hooks for sockmap cannot be attached")
            raise
        self._kernel.move(enrolled.cookie, enrolled.view, enrolled.flags, enrolled.addresses)
        log.info("sockmap", pod=key, on=wanted)

    def _take_dns(self, key: str, enrolled: Enrolled, choice: Choice, client: Client) -> None:
        place = self._kernel.place(enrolled.cgroup)
        try:
            name, why_not = self._open_dns(choice, place, client)
        finally:
            place.close()
        if why_not != enrolled.dns_why_not:
            enrolled.dns_why_not = why_not
            if why_not:
                log.warning("the pod's DNS is left alone", pod=key, why=why_not)
        if not name:
            return
        enrolled.dns = name
        try:
            self._kernel.hook(enrolled.uid, enrolled.cgroup, enrolled.flags)
        except NotEnrolled:  # the other hooks are gone, too
            self._withdraw(key, "the hooks for its DNS cannot be attached")
            raise
        self._kernel.move(enrolled.cookie, enrolled.view, enrolled.flags, enrolled.addresses)
        log.info("the pod's DNS is taken over", pod=key)

    def _finish_leaving(self) -> None:
        """Close what was unhooked before, now that nothing more arrives there."""
        for key in self._unhooking:
            enrolled = self._enrolled.get(key)
            if enrolled is not None and not enrolled.dns:
                with suppress(NotEnrolled):  # its cgroup is gone, as is about to be found
                    self._kernel.hook(enrolled.uid, enrolled.cgroup, enrolled.flags)
        self._unhooking = []
        for name in self._leaving:
            self._listeners.remove(name)
        self._leaving = []

    def _withdraw(self, key: str, why: str) -> None:
        """Unhook at once; the listeners stay until the next reconcile, for what was redirected a moment ago."""
        enrolled = self._enrolled.pop(key)
        self._leaving += (*enrolled.names, *filter(None, [enrolled.dns]))
        try:
            self._kernel.withdraw(enrolled.uid, enrolled.cookie)
        except OSError as error:
            log.error("pod's hooks not taken away", pod=key, error=error)
        log.info("pod withdrawn", pod=key, why=why)
