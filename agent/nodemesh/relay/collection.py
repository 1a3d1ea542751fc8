"""One resource of the API server as the relay has it: read once, trimmed, and filed in the feeds that agents follow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ..registry.assemble import ObjectKey
from ..registry.sources.api import Api
from ..registry.sources.backoff import Random
from ..registry.sources.outage import Outage
from ..registry.sources.reading import Reading, key_of_head
from ..registry.sources.reflector import Phase, Reflector
from ..registry.sources.resources import Resource
from ..registry.sources.watch import read_head
from .feed import Feed
from .trim import encoded, node_of, partial, trimmed


class Trimmer:
    """Reads objects to what is served of them: a Reading's item is that."""

    def read(self, resource: Resource, version: str, raw: msgspec.Raw) -> Reading:
        head = read_head(raw).metadata
        api_version = f"{resource.group}/{version}" if resource.group else version
        item: Any = trimmed(resource.kind, api_version, raw)
        return Reading(key_of_head(resource, head), head.resource_version, item)


class Collection:
    """`whole` has all objects, or of a kind of which only the metadata matters that. Of pods there are both, and those
    of each node. `changed` is called with the feed that has news, and whether they are pressing."""

    def __init__(
        self, api: Api, resource: Resource, random: Random, outage: Outage, changed: Callable[[Feed, bool], None]
    ) -> None:
        self.resource = resource
        self.whole = Feed()
        self.partial = Feed() if resource.kind == "Pod" else self.whole
        self.by_node: dict[str, Feed] = {}
        self.reflector = Reflector(api, resource, self, Trimmer(), random, outage)
        self._nodes: dict[tuple[str, str], str] = {}  # of pods
        self._changed = changed

    @property
    def version(self) -> int:
        """The resourceVersion up to which all of it is right."""
        return int(self.reflector.at or 0)

    @property
    def absent(self) -> bool:
        """Whether the cluster has no such kind."""
        return self.reflector.phase is Phase.ABSENT

    def feed_of_node(self, node: str) -> Feed:
        """The pods of a node; there need be none."""
        feed = self.by_node.get(node)
        if feed is None:
            feed = self.by_node[node] = Feed()
            feed.reset({}, self.version)
        return feed

    # what the reflector tells

    def replace(self, resource: Resource, readings: Iterable[Reading]) -> None:
        found = {(reading.key.namespace, reading.key.name): _plain(reading) for reading in readings}
        version = self.version
        if resource.kind != "Pod":
            metadata = resource.metadata_only
            self.whole.reset(
                {name: encoded(partial(plain) if metadata else plain) for name, plain in found.items()}, version
            )
        else:
            self.whole.reset({name: encoded(plain) for name, plain in found.items()}, version)
            self.partial.reset({name: encoded(partial(plain)) for name, plain in found.items()}, version)
            self._nodes = {name: node_of(plain) for name, plain in found.items()}
            of_nodes: dict[str, dict[tuple[str, str], bytes]] = {node: {} for node in self.by_node}
            for name, node in self._nodes.items():
                if node:
                    of_nodes.setdefault(node, {})[name] = self.whole.line(name)
            for node, lines in of_nodes.items():
                self.feed_of_node(node).reset(lines, version)
        for feed in {self.whole, self.partial, *self.by_node.values()}:
            self._changed(feed, True)

    def put(self, resource: Resource, reading: Reading) -> None:
        name, plain = (reading.key.namespace, reading.key.name), _plain(reading)
        version = int(reading.version or 0)
        if resource.kind != "Pod":
            self._put(self.whole, name, partial(plain) if resource.metadata_only else plain, version)
            return
        line = encoded(partial(plain))
        leaves = b'"deletionTimestamp"' in line and b'"deletionTimestamp"' not in self.partial.line(name)
        if _unversioned(line) != _unversioned(self.partial.line(name)):  # most changes of pods are of no interest
            self.partial.put(name, line, version)
            self._changed(self.partial, leaves)
        self._put(self.whole, name, plain, version)
        node, before = node_of(plain), self._nodes.get(name, "")
        if before != node and before in self.by_node:
            self._remove(self.by_node[before], name, version)
        if node:
            self._nodes[name] = node
            self._put(self.feed_of_node(node), name, plain, version, leaves)

    def remove(self, resource: Resource, key: ObjectKey, version: str = "") -> None:
        name, at = (key.namespace, key.name), int(version or 0)
        for feed in {self.whole, self.partial}:
            self._remove(feed, name, at)
        node = self._nodes.pop(name, "")
        if node in self.by_node:
            self._remove(self.by_node[node], name, at)

    def _put(
        self, feed: Feed, name: tuple[str, str], plain: dict[str, Any], version: int, urgent: bool = False
    ) -> None:
        line = encoded(plain)
        if _unversioned(line) != _unversioned(feed.line(name)):
            feed.put(name, line, version)
            self._changed(feed, urgent)

    def _remove(self, feed: Feed, name: tuple[str, str], version: int) -> None:
        line = feed.line(name)
        if line:
            plain = msgspec.json.decode(line)
            plain["metadata"]["resourceVersion"] = str(version)
            feed.remove(name, encoded(plain), version)
            self._changed(feed, self.resource.kind == "Pod")


def _plain(reading: Reading) -> dict[str, Any]:
    plain: Any = reading.item
    found: dict[str, Any] = plain
    return found


def _unversioned(line: bytes) -> bytes:
    """Without the resourceVersion, which is another one after every change of what is left out."""
    head, found, rest = line.partition(b'"resourceVersion":"')
    return head + rest.partition(b'"')[2] if found else line
