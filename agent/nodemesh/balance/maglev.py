"""MAGLEV: a table in which every host owns nearly equally many entries, indexed by a key's hash.

Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer" (NSDI 2016), section 3.4, with Envoy's
weights: hosts take turns to claim the next free entry of their own permutation of the table, heavier ones oftener."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import isqrt
from typing import Final

from .algorithms import Balancer
from .hashing import hash_key
from .host import Host

FREE: Final = -1
DEFAULT_SIZE: Final = 65_537
MAX_SIZE: Final = 655_373  # the larger one of the paper's two; building it takes a worker some tenths of a second


class Maglev(Balancer):
    __slots__ = ("table",)

    def __init__(self, hosts: Sequence[Host], size: int, weights: Sequence[float]) -> None:
        super().__init__(hosts)
        self.table = build(self.hosts, usable_size(size), weights)

    def pick(self, key: int) -> Host | None:
        if not self.hosts:
            return None
        return self.hosts[self.table[key % len(self.table)]]


def usable_size(size: int) -> int:
    """Only in a table of prime size does every permutation reach every entry."""
    if size > MAX_SIZE:
        return MAX_SIZE
    prime = size > 1 and all(size % divisor for divisor in range(2, isqrt(size) + 1))
    return size if prime else DEFAULT_SIZE


def build(hosts: Sequence[Host], size: int, weights: Sequence[float]) -> array[int]:
    table = array("i", [FREE]) * size
    if not hosts:
        return table
    names = [f"{host.address}:{host.port}".encode() for host in hosts]
    positions = [hash_key(name) % size for name in names]
    skips = [hash_key(name, 1) % (size - 1) + 1 for name in names]
    heaviest = max(weights)
    shares = [weight / heaviest for weight in weights]
    targets = [0.0] * len(hosts)
    filled = 0
    rounds = 0
    while True:
        rounds += 1
        for index in range(len(hosts)):
            # A host as heavy as the heaviest claims one entry per round, a lighter one whenever its share is due.
            if rounds * shares[index] < targets[index]:
                continue
            targets[index] += 1.0
            position = positions[index]
            skip = skips[index]
            while table[position] != FREE:
                position += skip
                if position >= size:
                    position -= size
            table[position] = index
            positions[index] = position
            filled += 1
            if filled == size:
                return table
