"""What of a plan has room in the service maps. ServiceEntries have as many addresses and networks as their writers
like: where all together are more than a map holds, those of the namespace with the most give way, and nobody else's."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace

from .maps import NetworkKey
from .plan import Key, Plan

#: A ServiceEntry's port, and its namespace.
Claim = tuple[str, str]


def fitting(wanted: Plan, sizes: Mapping[str, int]) -> tuple[Plan, tuple[str, ...]]:
    """The plan without what has no room, and the service ports that were left out as a whole; `sizes` by map. What is
    not claimed by ServiceEntries is left as it is."""
    out: set[Claim] = set()
    for name, size in sizes.items():
        over = used_of(name, wanted.entries, wanted) - size
        if over > 0:
            out |= left_out(name, wanted, over)
    if not out:
        return wanted, ()
    entries = {key: entry for key, entry in wanted.entries.items() if claim_of(key, wanted) not in out}
    named = {entry.backends for entry in entries.values() if entry.slots}
    kept = replace(wanted, entries=entries, backends={name: wanted.backends[name] for name in named})
    return kept, tuple(sorted(owner for owner, _ in out))


def claim_of(key: Key, plan: Plan) -> Claim | None:
    namespace = plan.claimants.get(key)
    return (plan.owners[key], namespace) if namespace is not None else None


def used_of(name: str, keys: Iterable[Key], plan: Plan) -> int:
    """The room that entries need in a map."""
    if name == "backends":
        sets = {plan.entries[key].backends for key in keys if plan.entries[key].slots}
        return sum(len(plan.backends[one]) for one in sets)
    return sum(isinstance(key, NetworkKey) == (name == "networks") for key in keys)


def left_out(name: str, plan: Plan, over: int) -> set[Claim]:
    """The claims that give way, so that so much room becomes free: each namespace keeps as much as the others do, or
    all it has."""
    keys: dict[Claim, list[Key]] = defaultdict(list)
    for key in plan.claimants:
        claim = claim_of(key, plan)
        if claim is not None:
            keys[claim].append(key)
    needs = {claim: need for claim, of_claim in keys.items() if (need := used_of(name, of_claim, plan))}
    uses: Counter[str] = Counter()
    for (_, namespace), need in needs.items():
        uses[namespace] += need
    share = fair_share(uses.values(), sum(uses.values()) - over)
    found = set()
    for claim in sorted(needs, reverse=True):
        if uses[claim[1]] > share:
            uses[claim[1]] -= needs[claim]
            found.add(claim)
    return found


def fair_share(uses: Iterable[int], room: int) -> int:
    """The most that each may have, so that all together have no more than the room (max-min fairness)."""
    left = sorted(uses)
    for index, use in enumerate(left):
        share = room // (len(left) - index)
        if use > share:
            return max(share, 0)
        room -= use
    return max(left, default=0)
