"""Parameters that lived alike so far share one life.

A steady run of a model with thousands of parameters has a handful of cohorts, so an event costs
the same however many parameters it names, and memory does not grow with their number either.
Where nothing happens to a cohort, an iteration costs it nothing: its life is told what it has
slept through when something happens again, or somebody asks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gradaudit.ledger.life import Life
from gradaudit.model.events import Members

#: How many selections are kept: a steady run has a handful, random experts would have no end.
SELECTIONS = 1024

#: The longest round of iterations that are repeated together.
ROUND = 16


@dataclass(slots=True, eq=False)
class Cohort:
    """Leaves with the same life until now."""

    number: int
    members: set[int]
    life: Life

    def sleep_until(self, iteration: int) -> None:
        """Nothing has happened to it since its life was last told of an iteration."""
        if self.life.timeline.end < iteration:
            self.life.close(iteration)


class Cohorts:
    """A partition of the leaves that events refine."""

    def __init__(self) -> None:
        self._all: list[Cohort] = []
        self._of: dict[int, Cohort] = {}
        self._newborn: dict[tuple[bool, bool], Cohort] = {}
        self._selections: dict[Members, tuple[Cohort, ...]] = {}
        #: the last iteration that is over
        self._over = -1
        #: those to which something has happened in the iteration under way, and in those before
        self._awake: dict[Cohort, None] = {}
        self._lately: deque[dict[Cohort, None]] = deque(maxlen=ROUND)

    def __iter__(self) -> Iterator[Cohort]:
        for cohort in self._all:
            if cohort not in self._awake:
                cohort.sleep_until(self._over)
            yield cohort

    def __contains__(self, leaf: int) -> bool:
        return leaf in self._of

    def __getitem__(self, leaf: int) -> Life:
        cohort = self._of[leaf]
        if cohort not in self._awake:
            cohort.sleep_until(self._over)
        return cohort.life

    @property
    def state(self) -> dict[str, Any]:
        """All that events of repeated iterations may change, if a round has no more of them."""
        stirring = set(self._awake).union(*self._lately)
        ordered = sorted(stirring, key=lambda cohort: cohort.number)
        return {"lives": [cohort.life for cohort in ordered], "over": self._over}

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self._over = state["over"]

    def add(self, leaf: int, *, frozen: bool, iteration: int, holding: bool = False) -> None:
        """Take in a leaf to which nothing has happened yet that was seen."""
        cohort = self._newborn.get((frozen, holding))
        if cohort is None:
            life = Life(frozen=frozen, iteration=iteration, inherited=holding)
            cohort = self._newborn[frozen, holding] = Cohort(len(self._all), set(), life)
            self._all.append(cohort)
        cohort.members.add(leaf)
        self._of[leaf] = cohort

    def close(self, iteration: int) -> None:
        """End an iteration for everyone."""
        self._newborn.clear()
        for cohort in self._awake:
            cohort.life.close(iteration)
        self._over = iteration
        self._lately.append(self._awake)
        self._awake = {}

    def forget_timelines(self) -> None:
        """Drop iterations that turn out not to have been any."""
        self._over = -1
        for cohort in self._all:
            cohort.life.forget_timeline()

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
        for cohort in known:
            if cohort not in self._awake:
                cohort.sleep_until(self._over)
                self._awake[cohort] = None
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
            part = Cohort(len(self._all), leaves, cohort.life.copy())
            for leaf in leaves:
                self._of[leaf] = part
            self._all.append(part)
            if cohort in self._awake:
                self._awake[part] = None
            chosen.append(part)
        return tuple(chosen)
