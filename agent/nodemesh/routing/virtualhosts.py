"""VirtualServices by their hosts, and wildcards, the most specific first: kept up to date version by version."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..registry.changed import changed_keys
from .names import by_specificity
from .tables import Tables, VirtualService


def wildcards(now: Mapping[str, Any], before: Mapping[str, Any], known: tuple[str, ...]) -> tuple[str, ...]:
    if now is before:
        return known
    found = by_specificity(now)
    return known if found == known else found


def index_virtual_hosts(
    virtual_services: Mapping[str, VirtualService], previous: Tables
) -> Mapping[str, tuple[str, ...]]:
    touched: dict[str, set[str]] = {}  # host -> keys that appear or vanish
    for key in changed_keys(virtual_services, previous.virtual_services):
        for virtual_service in (virtual_services.get(key), previous.virtual_services.get(key)):
            for host in virtual_service.hosts if virtual_service is not None else ():
                touched.setdefault(host, set()).add(key)
    if not touched:
        return previous.virtual_hosts
    index = dict(previous.virtual_hosts)
    for host, keys in touched.items():
        found = [
            virtual_services[key]
            for key in {*index.pop(host, ()), *keys}
            if key in virtual_services and host in virtual_services[key].hosts
        ]
        if found:
            found.sort(key=lambda item: (item.created, item.key))
            names = tuple(item.key for item in found)
            kept = previous.virtual_hosts.get(host)
            index[host] = kept if kept == names else names
    return index
