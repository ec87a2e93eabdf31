"""What became of ``.grad`` between two looks, told by identity and version, never by value."""

from __future__ import annotations

import weakref
from operator import attrgetter
from typing import NamedTuple

import torch

from gradaudit.observe.leaves import Leaf, strong

_grad = attrgetter("grad")

#: What a leaf without gradient, and one that has died, look like.
ABSENT = (0, -1)


class Change(NamedTuple):  # a thousand of them may be made in one backward
    """A leaf whose ``.grad`` is not what it was at the last look."""

    leaf: int
    before: tuple[int, int]
    now: tuple[int, int]

    @property
    def filled(self) -> bool:
        """From None to a tensor."""
        return self.before is ABSENT

    @property
    def emptied(self) -> bool:
        """From a tensor to None."""
        return self.now is ABSENT

    @property
    def replaced(self) -> bool:
        """From one tensor to another."""
        return not self.filled and not self.emptied and self.before[0] != self.now[0]


class Gradients:
    """The state of ``.grad`` of all tracked leaves at the last look.

    A state is (identity of the gradient, its version).  Between a clearing and the next look an
    address may be used again, but a look is taken on both sides of every backward, and only a
    backward or the user's own assignment makes a new gradient.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._references: list[weakref.ref[torch.Tensor]] = []
        self._states: list[tuple[int, int]] = []
        self._tracked: dict[int, int] = {}

    def __contains__(self, leaf: Leaf) -> bool:
        return leaf.number in self._tracked

    def __len__(self) -> int:
        return len(self._numbers)

    def track(self, leaf: Leaf) -> None:
        """From now on, look at this leaf too."""
        if leaf.number in self._tracked:
            return
        self._tracked[leaf.number] = len(self._numbers)
        self._numbers.append(leaf.number)
        self._references.append(leaf.reference)
        self._states.append(_state(leaf.reference))

    def state(self, number: int) -> tuple[int, int]:
        """The state of one leaf at the last look."""
        return self._states[self._tracked[number]]

    def look(self) -> list[Change]:
        """Look at all tracked leaves; what changed since the last time."""
        now = self._look()
        before = self._states
        if now == before:
            return []
        self._states = now
        return [
            Change(number, was, is_)
            for number, was, is_ in zip(self._numbers, before, now, strict=True)
            if was != is_
        ]

    def _look(self) -> list[tuple[int, int]]:
        states = []
        gone = False
        for reference in self._references:
            tensor = reference()
            if tensor is None:
                gone = True
                states.append(ABSENT)
                continue
            gradient = _grad(tensor)
            states.append(ABSENT if gradient is None else (id(gradient), gradient._version))
            tensor._fix_weakref()  # type: ignore[attr-defined]  # see leaves.strong
        if gone:
            states = self._drop_dead(states)
        return states

    def assume_empty(self, numbers: frozenset[int]) -> None:
        """A clearing to None was just seen: spare the look."""
        if len(numbers) >= len(self._numbers) and numbers.issuperset(self._numbers):
            self._states = [ABSENT] * len(self._numbers)
            return
        for number in numbers:
            index = self._tracked.get(number)
            if index is not None:
                self._states[index] = ABSENT

    def holding(self, numbers: frozenset[int]) -> list[int]:
        """Those of the leaves that had a gradient at the last look."""
        tracked, states = self._tracked, self._states
        return [
            number
            for number in numbers
            if number in tracked and states[tracked[number]] is not ABSENT
        ]

    def _drop_dead(self, states: list[tuple[int, int]]) -> list[tuple[int, int]]:
        kept = [
            index for index, reference in enumerate(self._references) if reference() is not None
        ]
        self._numbers = [self._numbers[index] for index in kept]
        self._references = [self._references[index] for index in kept]
        self._states = [self._states[index] for index in kept]
        self._tracked = {number: index for index, number in enumerate(self._numbers)}
        return [states[index] for index in kept]


def _state(reference: weakref.ref[torch.Tensor]) -> tuple[int, int]:
    tensor = strong(reference)
    gradient = None if tensor is None else tensor.grad
    return ABSENT if gradient is None else (id(gradient), gradient._version)
