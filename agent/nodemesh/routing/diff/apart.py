"""Texts that tell two regular expressions apart, found by walking both automata together.

An expression becomes an automaton with empty moves (Thompson's), and both are walked with sets of states, letter by
letter, the shortest texts first. Of letters that no expression tells apart one is tried. What is found is held against
the expressions themselves; what the automata do not know (word boundaries, letters beyond ASCII) is not found."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

from ...config.regex import Pattern

#: States of one automaton, and steps of one walk: counted repeats multiply.
STATES = 2000
STEPS = 4000

Letters = frozenset[int]

#: Printable ASCII.
ALL: Letters = frozenset(range(0x20, 0x7F))
DIGITS: Letters = frozenset(b"0123456789")
WORD: Letters = DIGITS | frozenset(b"_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
SPACE: Letters = frozenset(b" ")

CATEGORIES = {
    "CATEGORY_DIGIT": DIGITS,
    "CATEGORY_NOT_DIGIT": ALL - DIGITS,
    "CATEGORY_WORD": WORD,
    "CATEGORY_NOT_WORD": ALL - WORD,
    "CATEGORY_SPACE": SPACE,
    "CATEGORY_NOT_SPACE": ALL - SPACE,
}


SLASH = 0x2F


class Unknown(Exception):
    """The expression is none that an automaton can be made of here."""


class Automaton:
    """Starts in state 0 and ends in `end`."""

    def __init__(self, text: str) -> None:
        try:
            parsed = parser.parse(text)
        except (re.error, RecursionError, OverflowError):
            raise Unknown from None
        self._folded = bool(parsed.state.flags & re.IGNORECASE)
        self.moves: list[list[tuple[Letters, int]]] = [[]]
        self.empty: list[list[int]] = [[]]
        self.end = self._sequence(list(parsed), 0)

    def closure(self, states: frozenset[int]) -> frozenset[int]:
        found, rest = set(states), list(states)
        while rest:
            for other in self.empty[rest.pop()]:
                if other not in found:
                    found.add(other)
                    rest.append(other)
        return frozenset(found)

    def step(self, states: frozenset[int], letter: int) -> frozenset[int]:
        return self.closure(frozenset(to for state in states for letters, to in self.moves[state] if letter in letters))

    def _new(self) -> int:
        if len(self.moves) >= STATES:
            raise Unknown
        self.moves.append([])
        self.empty.append([])
        return len(self.moves) - 1

    def _sequence(self, parts: list[Any], state: int) -> int:
        for kind, value in parts:
            state = self._part(kind, value, state)
        return state

    def _part(self, kind: Any, value: Any, start: int) -> int:
        if kind is ops.SUBPATTERN:
            if value[1] or value[2]:
                raise Unknown  # flags of a group's own
            return self._sequence(list(value[3]), start)
        if kind is ops.BRANCH:
            end = self._new()
            for branch in value[1]:
                self.empty[self._sequence(list(branch), self._after(start))].append(end)
            return end
        if kind in (ops.MAX_REPEAT, ops.MIN_REPEAT):
            return self._repeat(value[0], value[1], list(value[2]), start)
        if kind is ops.AT:
            return start
        end = self._new()
        self.moves[start].append((self._letters(kind, value), end))
        return end

    def _after(self, state: int) -> int:
        found = self._new()
        self.empty[state].append(found)
        return found

    def _repeat(self, low: int, high: int, inner: list[Any], state: int) -> int:
        for _ in range(low):
            state = self._sequence(inner, state)
        if high is ops.MAXREPEAT:
            begin = self._after(state)
            self.empty[self._sequence(inner, begin)].append(begin)
            return self._after(begin)
        end = self._new()
        for _ in range(high - low):
            self.empty[state].append(end)
            state = self._sequence(inner, self._after(state))
        self.empty[state].append(end)
        return end

    def _letters(self, kind: Any, value: Any) -> Letters:
        if kind is ops.LITERAL:
            found = frozenset({value})
        elif kind is ops.NOT_LITERAL:
            found = ALL - {value}
        elif kind is ops.ANY:
            found = ALL
        elif kind is ops.IN:
            found = self._members(value)
        else:
            raise Unknown
        if self._folded:
            found |= {ord(other) for each in found & ALL if len(other := chr(each).swapcase()) == 1}
        return found & ALL

    @staticmethod
    def _members(value: list[Any]) -> Letters:
        found: set[int] = set()
        for kind, each in value:
            if kind is ops.LITERAL:
                found.add(each)
            elif kind is ops.RANGE:
                found.update(ALL & frozenset(range(each[0], min(each[1], 0x7E) + 1)))
            elif kind is ops.CATEGORY:
                found |= CATEGORIES.get(str(each), frozenset())
        return ALL - found if value and value[0][0] is ops.NEGATE else frozenset(found)


def alphabet(*automata: Automaton) -> list[int]:
    """One letter of each kind that no move tells apart, those of words first."""
    kinds: dict[tuple[bool, ...], int] = {}
    sets = list({letters for one in automata for moves in one.moves for letters, _ in moves})
    for letter in sorted(ALL, key=lambda each: (each not in WORD, each)):
        kinds.setdefault((letter == SLASH, *(letter in letters for letters in sets)), letter)
    return list(kinds.values())


def apart(one: Pattern, other: Pattern, comes: Callable[[bytes], bool], first: bytes = b"") -> Iterator[bytes]:
    """A text that only one of them matches, one that only the other does, and one that both do, as far as there are
    such. `comes` says whether a text can come; all begin with the letter `first`, if there is one, as paths do. Raises
    Unknown where it cannot be told."""
    automata = Automaton(one.text), Automaton(other.text)
    letters = alphabet(*automata)
    wanted = {(True, False), (False, True), (True, True)}
    begin = tuple(each.closure(frozenset({0})) for each in automata)
    seen, rest = {(begin, False)}, deque([(begin, b"")])
    steps = 0
    while rest and wanted:
        states, text = rest.popleft()
        for letter in letters if text or not first else first:
            steps += 1
            if steps > STEPS:
                raise Unknown
            slash = letter == SLASH
            if first and slash and text.endswith(b"/"):
                continue  # no path has two of them in a row
            now = tuple(each.step(held, letter) for each, held in zip(automata, states, strict=True))
            if not any(now):
                continue
            longer = text + bytes((letter,))
            ends = tuple(each.end in held for each, held in zip(automata, now, strict=True))
            if ends in wanted and (one.fullmatch(longer), other.fullmatch(longer)) == ends and comes(longer):
                wanted.discard((ends[0], ends[1]))
                yield longer
            if (now, slash) not in seen:
                seen.add((now, slash))
                rest.append((now, longer))
