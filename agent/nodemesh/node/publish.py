"""Tables on their way to the workers: a difference where the worker has the version before, else all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..proxy.messages import SetTables
from ..routing.tables import Tables
from ..routing.wire import encode_update
from .channel import memfd
from .fleet import Fleet, WorkerLink


class Publisher:
    """Holds the newest tables. Encoded whole they are some ten MiB in a big cluster, which are not kept."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self.tables: Tables | None = None
        self._sent: dict[WorkerLink, int] = {}

    @property
    def version(self) -> int:
        return self.tables.version if self.tables is not None else 0

    def publish(self, tables: Tables) -> None:
        """Send new tables to every worker."""
        before, self.tables = self.tables, tables
        links = list(self._fleet)
        self._sent = {link: version for link, version in self._sent.items() if link in links}
        current = [link for link in links if before is not None and self._sent.get(link) == before.version]
        if current and before is not None:
            fd = memfd("nodemesh-tables", encode_update(before, tables))
            for link in current:
                self._sent[link] = self.version
                self._fleet.tell_one(link, SetTables(version=self.version, base=before.version), (fd,))
            os.close(fd)
        others = [link for link in links if link not in current]
        if others:
            fd = memfd("nodemesh-tables", encode_update(None, tables))
            for link in others:
                self._sent[link] = self.version
                self._fleet.tell_one(link, SetTables(version=self.version, base=0), (fd,))
            os.close(fd)

    def replay(self, link: WorkerLink) -> Iterator[tuple[SetTables, tuple[int]]]:
        """What brings a new worker up to date: the newest tables, whole, if there are any."""
        if self.tables is None:
            return
        fd = memfd("nodemesh-tables", encode_update(None, self.tables))
        self._sent[link] = self.version
        yield SetTables(version=self.version, base=0), (fd,)
        os.close(fd)
