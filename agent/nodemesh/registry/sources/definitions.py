"""The cluster's CustomResourceDefinitions, by their names: a kind that comes late is looked for at once."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from ..assemble import ObjectKey
from .api import Api
from .backoff import Random
from .outage import Outage
from .reading import Reading, key_of_head
from .reflector import Reflector
from .resources import Resource
from .watch import read_head

DEFINITIONS = Resource(
    name="definitions",
    kind="CustomResourceDefinition",
    group="apiextensions.k8s.io",
    versions=("v1",),
    plural="customresourcedefinitions",
    metadata_only=True,
)


class _Names:
    """Reads nothing but names."""

    def read(self, resource: Resource, version: str, raw: msgspec.Raw) -> Reading:
        head = read_head(raw).metadata
        return Reading(key_of_head(resource, head), head.resource_version, None)


class Definitions:
    """Nothing depends on it: without the right to read them, an absent kind is looked for now and then."""

    def __init__(self, api: Api, random: Random, outage: Outage) -> None:
        self._outage = outage
        self._reflector = Reflector(api, DEFINITIONS, self, _Names(), random)

    async def run(self) -> None:
        await self._reflector.run()

    def replace(self, resource: Resource, readings: Iterable[Reading]) -> None:
        for reading in readings:
            self.put(resource, reading)

    def put(self, _: Resource, reading: Reading) -> None:
        """New, or served by now: a definition's name is `plural.group`."""
        self._outage.appeared(reading.key.name.partition(".")[2])

    def remove(self, resource: Resource, key: ObjectKey, version: str = "") -> None:
        """Its kind's own watch tells."""
