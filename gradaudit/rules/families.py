"""Parameters that are alike but for one index: experts, heads of tasks, layers of a stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property

from gradaudit.ledger.life import Life
from gradaudit.ledger.recording import LeafFacts

#: The index of one among many of a kind: ``experts.3.weight``, ``layers[3].weight``.
_INDEX = re.compile(r"(?<=\.)\d+(?=\.)|(?<=\[)\d+(?=\])")


class Families:
    """The families of a recording, told by the names of its leaves."""

    def __init__(self, leaves: dict[int, LeafFacts], life: Callable[[int], Life]) -> None:
        self._leaves = leaves
        self._life = life

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        families: dict[str, list[int]] = {}
        for leaf, facts in self._leaves.items():
            for index in _INDEX.finditer(facts.name):
                families.setdefault(_family(facts.name, index), []).append(leaf)
        return families

    def siblings(self, leaf: int) -> Iterator[int]:
        """Leaves whose names differ from its own in one index only."""
        for family in self._families_of(leaf):
            yield from (sibling for sibling in self._members[family] if sibling != leaf)

    def _families_of(self, leaf: int) -> Iterator[str]:
        name = self._leaves[leaf].name
        return (_family(name, index) for index in _INDEX.finditer(name))

    @cached_property
    def _taking_turns(self) -> dict[str, set[int]]:
        return self._of_families(_by_turns)

    @cached_property
    def _coming_back(self) -> dict[str, set[int]]:
        return self._of_families(_came_back)

    def _of_families(self, question: Callable[[Life], bool]) -> dict[str, set[int]]:
        """Of each family, the members whose lives answer a question with yes."""
        found = {leaf for leaf in self._leaves if question(self._life(leaf))}
        return {name: found.intersection(family) for name, family in self._members.items()}

    def _has_sibling(self, leaf: int, among: dict[str, set[int]]) -> bool:
        """Whether there are others than itself among these members of its families."""
        return any(len(among[each]) > (leaf in among[each]) for each in self._families_of(leaf))

    def idle_by_turns(self, leaf: int) -> bool:
        """Whether it is one of several alike of which each iteration uses only some.

        An expert that no token chose, a block that stochastic depth dropped: they may be idle
        for as long as was looked.  Siblings that are always used prove the opposite.
        """
        return self._has_sibling(leaf, self._taking_turns)

    @cached_property
    def _fed(self) -> dict[str, set[int]]:
        return self._of_families(lambda life: bool(life.deposited))

    @cached_property
    def _last_begun(self) -> dict[str, int]:
        """When the last member of each family began to have gradients."""
        return {
            name: max((self._life(leaf).deposited.first for leaf in members), default=-1)
            for name, members in self._fed.items()
        }

    def behind_the_first(self, leaf: int) -> bool:
        """Whether just one of several alike has had gradients."""
        fed = [self._fed[family] for family in self._families_of(leaf)]
        return any(len(members) == 1 for members in fed) and all(len(each) < 2 for each in fed)

    def handed_on(self, leaf: int) -> bool:
        """Whether one alike began to have gradients when its own had come to an end."""
        last = self._life(leaf).deposited.last
        return any(self._last_begun[family] > last for family in self._families_of(leaf))

    def comes_back(self, leaf: int) -> bool:
        """Whether it, or one alike, has lost its gradient before and was given some again.

        What all of them have lost but once they do not use by turns.
        """
        return _came_back(self._life(leaf)) or self._has_sibling(leaf, self._coming_back)


def _family(name: str, index: re.Match[str]) -> str:
    return f"{name[: index.start()]}*{name[index.end() :]}"


def _came_back(life: Life) -> bool:
    runs = [run for run in life.timeline if run.last >= life.born]
    fed = [number for number, run in enumerate(runs) if run.state not in {"none", "frozen"}]
    interrupted = bool(fed) and fed[-1] - fed[0] >= len(fed)
    return interrupted or any(run.mixed for run in runs)


def _by_turns(life: Life) -> bool:
    runs = [run for run in life.timeline if run.last >= life.born]
    states = {run.state for run in runs}
    various = len(states) > 1 or any(run.mixed for run in runs)
    return bool(life.deposited) and "none" in states and various
