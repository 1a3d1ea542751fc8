"""Two answers to one request, compared: what `diff`, a shadow and a replay call the same, and what otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from ..clusters import locality_of
from ..decision import Cluster, Decision
from ..match import VirtualHost
from ..request import Request
from ..tables import Tables
from ..trafficpolicy import effective_policy, mesh_policy
from .spots import Rules
from .told import NONE, ON, TO, Teller, Told, matters, settings

NOTHING: Told = {TO: "nothing listens there"}

#: Characters of what an aspect comes to that a contrast keeps: rules may have long headers and many destinations.
SHOWN = 300

#: Contrasts after which tellers begin anew: they hold what they have told, and some decisions are made for one request.
REMEMBERED = 4096


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes of a class on one side: by aspect (`to` is where it goes), and the rule with its place."""

    told: Mapping[str, str]
    rule: str = ""


class Contrast(msgspec.Struct, frozen=True, kw_only=True):
    """Two answers that differ: of both sides the aspects in which they do. `place` is a host and port, or a gateway's
    port."""

    place: str
    old: Behaviour
    new: Behaviour

    @property
    def aspects(self) -> list[str]:
        return differing(self.old.told, self.new.told)

    @property
    def key(self) -> tuple[object, ...]:
        """Two contrasts are the same one by what they say."""
        told = (tuple(sorted(side.told.items())) for side in (self.old, self.new))
        return (self.place, self.old.rule, self.new.rule, *told)


class Contraster:
    """Compares answers by two versions of the tables."""

    def __init__(self, old: Tables, new: Tables) -> None:
        self._tables = (old, new)
        self._tellers: dict[tuple[str, int], tuple[Teller, Teller]] = {}
        self._contrasted = 0

    def contrast(self, place: str, home: str, port: int, old: Decision | None, new: Decision | None) -> Contrast | None:
        """None where the answers are the same; `home` and `port` are the Teller's."""
        self._contrasted += 1
        if self._contrasted % REMEMBERED == 0:
            self._tellers.clear()
        tellers = self._tellers.get((home, port))
        if tellers is None:
            one, other = (Teller(home, port, TablesLookup(each)) for each in self._tables)
            tellers = self._tellers[home, port] = one, other
        told = [
            teller.tell(decision) if decision is not None else NOTHING
            for teller, decision in zip(tellers, (old, new), strict=True)
        ]
        if told[0] == told[1]:
            return None
        aspects = differing(told[0], told[1])
        sides = [
            Behaviour(
                told={name: each[name][:SHOWN] for name in aspects if name in each},
                rule=str(decision.rule) if decision is not None else "",
            )
            for each, decision in zip(told, (old, new), strict=True)
        ]
        return Contrast(place=place, old=sides[0], new=sides[1])


def differing(old: Told, new: Told) -> list[str]:
    """The aspects in which two answers differ, where it goes first."""
    found = [name for name in {**old, **new} if old.get(name) != new.get(name) and matters(name, old, new)]
    return sorted(found, key=lambda name: (name != TO, name))


def decide(rules: Rules, request: Request) -> Decision | None:
    return rules.decide(request) if isinstance(rules, VirtualHost) else rules


class TablesLookup:
    """Looks up what clusters of some tables come from."""

    def __init__(self, tables: Tables) -> None:
        self.domain = tables.mesh.cluster_domain
        self._tables = tables

    def labels(self, host: str, subset: str) -> Mapping[str, str] | None:
        for rule in self._tables.destination_rules.get(host, ()):
            found = rule.subset(subset)
            if found is not None:
                return found.labels
        return None

    def locality(self, cluster: Cluster) -> str:
        """By all rules for the host: which of them counts depends on the client."""
        tables = self._tables
        services = tables.services.get(cluster.host, ())
        found: dict[str, None] = {}
        for service in services[:1]:
            for rule in tables.destination_rules.get(cluster.host) or (None,):
                policy = effective_policy(rule, cluster.subset, cluster.port, mesh_policy(tables.mesh))
                setting, _ = locality_of(policy, service, tables.mesh)
                text = settings(setting) if setting is not None else NONE
                found["near endpoints first" if text == ON else text] = None
        return "" if list(found) == [NONE] else "; ".join(found)
