"""Two versions of the configuration, compared by what becomes of requests."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import msgspec

from ..decision import Decision, Rule
from ..match import MatchRow, VirtualHost
from ..request import Request
from ..tables import Tables
from ..views import Views
from .affected import hosts_to_ask
from .clients import Who, clients_of, gateways_of
from .regions import regions
from .sides import NOTHING, Behaviour, TablesLookup, decide, differing
from .silent import not_compared
from .space import Rows, Space, rows_of
from .spots import REQUESTS, Rules, Spot, gateway_spots, mesh_spots
from .told import Teller, Told
from .words import class_of

#: Classes of one host and port that are shown; more are counted.
MOST = 1000

Over = Callable[[], bool]
Sight = tuple[object, frozenset[tuple[str, str]]]
Known = dict[tuple[object, ...], "list[BehaviourChange]"]


class Example(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a class."""

    method: str
    url: str
    headers: Mapping[str, str] = {}


class BehaviourChange(msgspec.Struct, frozen=True, kw_only=True):
    """A class of requests (or connections) that is answered otherwise; `clients` are all where it is empty."""

    host: str
    port: int
    asks: str
    old: Behaviour
    new: Behaviour
    example: Example
    clients: tuple[str, ...] = ()
    gateway: str = ""

    @property
    def aspects(self) -> list[str]:
        """Those that differ, where it goes first."""
        return differing(self.old.told, self.new.told)


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """All that changes; `cut` are sentences about what was not looked at, `silent` phrases for what differs and shows
    in no answer."""

    changes: tuple[BehaviourChange, ...]
    cut: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()


def compare(old: Tables, new: Tables, over: Over = lambda: False) -> Difference:
    """`over` says when the time is up: what is left is cut then."""
    views = Views(old), Views(new)
    hosts = hosts_to_ask(old, new)
    who, cut = clients_of(old, new)
    found: dict[BehaviourChange, list[str]] = {}
    known: Known = {}
    for asked, client in enumerate(who, 1):
        spots = mesh_spots(views[0].for_client(client.client), views[1].for_client(client.client), hosts)
        done = gather(found, spots, client, (old, new), cut, over, known)
        if not done:
            cut.append(f"the time is up: {len(who) - asked} of {len(who)} kinds of clients were not looked at")
            break
    merged = [
        msgspec.structs.replace(change, clients=() if len(texts) == len(who) else tuple(texts))
        for change, texts in found.items()
    ]
    for gateway in gateways_of(old, new):
        at_gateway: dict[BehaviourChange, list[str]] = {}
        spots = gateway_spots(views[0].for_client(gateway.client), views[1].for_client(gateway.client))
        if not gather(at_gateway, spots, gateway, (old, new), cut, over, {}):
            cut.append(f"the time is up: {gateway.text} was not looked at as a whole")
        merged += [msgspec.structs.replace(change, gateway=gateway.text) for change in at_gateway]
    return Difference(changes=tuple(merged), cut=tuple(dict.fromkeys(cut)), silent=not_compared(old, new))


def gather(
    found: dict[BehaviourChange, list[str]],
    spots: Iterator[Spot],
    who: Who,
    tables: tuple[Tables, Tables],
    cut: list[str],
    over: Over,
    known: Known,
) -> bool:
    """One client's changes; False where the time is up. `known` has those of places that others have seen alike."""
    for spot in spots:
        if over():
            return False
        if spot.ways is not None:
            found.setdefault(way(spot, spot.ways), []).append(who.text)
            continue
        plain = spot.what != REQUESTS
        tellers = [Teller(spot.home, spot.port, TablesLookup(each), plain=plain) for each in tables]
        seen = sight_of(spot.old, tellers[0]), sight_of(spot.new, tellers[1])
        if seen[0] == seen[1]:
            continue
        key = (spot.host, spot.port, spot.what, *seen, written(spot.old), written(spot.new))
        changes = known.get(key)
        if changes is None:
            changes = known[key] = list(changes_at(spot, tellers, cut, over))
        for change in changes:
            found.setdefault(change, []).append(who.text)
    return True


def sight_of(rules: Rules, teller: Teller) -> Sight:
    """What one side's rules come to, in their order: where both sides are the same, nothing needs to be tried."""
    if not isinstance(rules, VirtualHost):
        return ((), number(teller.tell(rules) if rules is not None else NOTHING))
    rows = tuple((signature(row), number(teller.tell(row.decision))) for row in rows_of(rules))
    return (rows, number(teller.tell(rules.otherwise)))


def written(rules: Rules) -> tuple[Rule, ...]:
    """Where one side's rules were written: of two clients who see the same, each is told of its own."""
    if not isinstance(rules, VirtualHost):
        return (rules.rule,) if rules is not None else ()
    return (*(row.decision.rule for row in rows_of(rules)), rules.otherwise.rule)


def number(told: Told) -> frozenset[tuple[str, str]]:
    return frozenset(told.items())


def changes_at(spot: Spot, tellers: list[Teller], cut: list[str], over: Over) -> Iterator[BehaviourChange]:
    def tell(side: int, decision: Decision | None) -> Told:
        return tellers[side].tell(decision) if decision is not None else NOTHING

    if isinstance(spot.old, VirtualHost) or isinstance(spot.new, VirtualHost):
        yield from by_rules(spot, tell, cut, over)
    else:
        yield change(spot, None, None, False, (tell(0, spot.old), tell(1, spot.new)), (spot.old, spot.new))


def by_rules(
    spot: Spot, tell: Callable[[int, Decision | None], Told], cut: list[str], over: Over
) -> Iterator[BehaviourChange]:
    """The classes of a host with rules."""
    hosts = [each for each in (spot.old, spot.new) if each is not None]
    space = Space(hosts, spot.authorities)
    place = f"{spot.host}:{spot.port}"
    cut += [f"{place}: no text was found that matches /{text}/" for text in space.unsampled]
    if space.untold:
        cut.append(f"{place}: {space.untold} pairs of regular expressions were compared by samples alone")
    before, after = (Rows(each, space) if each is not None else None for each in (spot.old, spot.new))
    missing = Rows(Decision(), space)
    told = 0

    def tells(side: int, rows: Rows | None, index: int) -> Told:
        return tell(side, rows.decision(index)) if rows is not None else NOTHING

    def same(one: int, two: int) -> bool:
        return tells(0, before, one) == tells(1, after, two)

    for region in regions(space, before or missing, after or missing, same):
        if told >= MOST or over():
            cut.append(f"{place}: more than the first {told} classes of requests change" if told >= MOST else
                       f"{place}: the time is up, not all of its classes were looked at")  # fmt: skip
            return
        rows = row_at(before, region.old), row_at(after, region.new)
        asks = class_of(*rows, region.rest, spot.what)
        if region.request is None:
            cut.append(f"{place}: whether {asks} exist took too long to find out")
            continue
        decisions = decide(spot.old, region.request), decide(spot.new, region.request)
        sides = tell(0, decisions[0]), tell(1, decisions[1])
        if sides[0] == sides[1]:
            continue  # a rule that costs too much, or the like, takes it on both sides
        told += 1
        yield change(spot, *rows, region.rest, sides, decisions, region.request)


def row_at(rows: Rows | None, index: int) -> MatchRow | None:
    return rows.rows[index] if rows is not None and index < len(rows.rows) else None


def change(
    spot: Spot,
    old: MatchRow | None,
    new: MatchRow | None,
    rest: bool,
    sides: tuple[Told, Told],
    decisions: tuple[Decision | None, Decision | None],
    request: Request | None = None,
) -> BehaviourChange:
    rules = [str(decision.rule) if decision is not None else "" for decision in decisions]
    return BehaviourChange(
        host=spot.host,
        port=spot.port,
        asks=class_of(old, new, rest, spot.what),
        old=Behaviour(told=Frozen(sides[0]), rule=rules[0]),
        new=Behaviour(told=Frozen(sides[1]), rule=rules[1]),
        example=example(spot, request),
    )


def way(spot: Spot, ways: tuple[Told, Told]) -> BehaviourChange:
    """Connections take another way, whatever is answered."""
    return BehaviourChange(
        host=spot.host,
        port=spot.port,
        asks=f"all {spot.what}",
        old=Behaviour(told=Frozen(ways[0])),
        new=Behaviour(told=Frozen(ways[1])),
        example=example(spot, None),
    )


class Frozen(dict[str, str]):
    """Aspects that a change can be found by."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(frozenset(self.items()))


def example(spot: Spot, request: Request | None) -> Example:
    if request is None:
        return Example(method="", url=f"tcp://{spot.host}:{spot.port}", headers=Frozen())
    authority = request.authority.decode(errors="replace").partition(":")[0] or spot.host
    target = request.path + (b"?" + request.query if request.query else b"")
    headers = {name.decode(): value.decode(errors="replace") for name, value in request.headers.items()}
    return Example(
        method=request.method.decode(),
        url=f"{request.scheme.decode()}://{authority}:{spot.port}{target.decode(errors='replace')}",
        headers=Frozen(headers),
    )


def signature(row: MatchRow) -> tuple[object, ...]:
    checks = tuple((check.field, check.key, check.match.kind, check.match.value) for check in row.checks)
    return row.path_kind, row.path_value, checks
