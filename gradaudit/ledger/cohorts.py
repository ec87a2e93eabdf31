"""Parameters that lived alike so far share one life.

A steady run of a model with thousands of parameters has a handful of cohorts, so an event costs
the same however many parameters it names, and memory does not grow with their number either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradaudit.ledger.life import Life
from gradaudit.model.events import Members

#: How many selections are kept: a steady run has a handful, random experts would have no end.
SELECTIONS = 1024


@dataclass(slots=True, eq=False)
class Cohort:
    """Leaves with the same life until now."""

    members: set[int]
    life: Life


class Cohorts:
    """A partition of the leaves that events refine."""

    def __init__(self) -> None:
        self._all: list[Cohort] = []
        self._of: dict[int, Cohort] = {}
        self._newborn: dict[tuple[bool, bool], Cohort] = {}
        self._selections: dict[Members, tuple[Cohort, ...]] = {}

    def __iter__(self) -> Iterator[Cohort]:
        return iter(self._all)

    def __contains__(self, leaf: int) -> bool:
        return leaf in self._of

    def __getitem__(self, leaf: int) -> Life:
        return self._of[leaf].life

    def add(self, leaf: int, *, frozen: bool, iteration: int, holding: bool = False) -> None:
        """Take in a leaf to which nothing has happened yet that was seen."""
        cohort = self._newborn.get((frozen, holding))
        if cohort is None:
            life = Life(frozen=frozen, iteration=iteration, inherited=holding)
            cohort = self._newborn[frozen, holding] = Cohort(set(), life)
            self._all.append(cohort)
        cohort.members.add(leaf)
        self._of[leaf] = cohort

    def close(self, iteration: int) -> None:
        """End an iteration for everyone."""
        self._newborn.clear()
        for cohort in self._all:
            cohort.life.close(iteration)

    def select(self, members: Members) -> tuple[Cohort, ...]:
        """The cohorts that together are exactly ``members``, split where need be.

        Something is about to happen to them, so they are newborn no more.  The answer is kept
        until a split, so a steady run finds it by one look-up.
        """
        self._newborn.clear()
        known = self._selections.get(members)
        if known is None:
            known = self._split(members)
            if len(self._selections) >= SELECTIONS:
                self._selections.clear()
            self._selections[members] = known
        return known

    def _split(self, members: Members) -> tuple[Cohort, ...]:
        hit: dict[int, tuple[Cohort, set[int]]] = {}
        for leaf in members:
            cohort = self._of[leaf]
            hit.setdefault(id(cohort), (cohort, set()))[1].add(leaf)
        chosen = []
        for cohort, leaves in hit.values():
            if len(leaves) == len(cohort.members):
                chosen.append(cohort)
                continue
            self._selections.clear()
            cohort.members -= leaves
            part = Cohort(leaves, cohort.life.copy())
            for leaf in leaves:
                self._of[leaf] = part
            self._all.append(part)
            chosen.append(part)
        return tuple(chosen)
