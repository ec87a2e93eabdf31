"""What became of ``.grad`` between two looks, told by identity and version, never by value.

A look is taken on both sides of every backward, so what it costs counts: all leaves are looked at
by calls that loop in C, and a pattern of changes that was seen before is found by one look-up.
"""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from itertools import repeat
from operator import attrgetter, ne, sub
from typing import Literal

import torch

from gradaudit.model.events import Members
from gradaudit.observe.leaves import Leaf, strong, undispatched

#: What a change of ``.grad`` looks like, whoever made it: from None to a tensor, from a tensor to
#: None, from one tensor to another, or so many changes in place.
Mark = Literal["filled", "emptied", "replaced"] | int

#: What a leaf without gradient, and one that has died, look like.
ABSENT = (id(None), -1)

#: How many patterns are remembered; a steady run has a handful.
PATTERNS = 64


_NONE, _NO_VERSION = ABSENT
_grad = attrgetter("grad")
_version = attrgetter("_version")
_fix_weakref = torch.Tensor._fix_weakref  # type: ignore[attr-defined]
_NOBODY: Members = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """The leaves whose ``.grad`` is not what it was at the last look; equal patterns are one.

    ``left`` are those that have a gradient now.  ``odd`` is whether one backward alone cannot
    have made them, unless it is of a special kind.  ``added`` is how often all of these were
    changed in place, and nothing else was done; else 0.
    """

    marks: dict[int, Mark]
    left: Members
    odd: bool = False
    added: int = 0

    def __bool__(self) -> bool:
        return bool(self.marks)


#: No change at all.
NOTHING = Changes({}, _NOBODY)


class Gradients:
    """The state of ``.grad`` of all tracked leaves at the last look.

    A state is (identity of the gradient, its version).  Between a clearing and the next look an
    address may be used again, but a look is taken on both sides of every backward, and only a
    backward or the user's own assignment makes a new gradient.  The two lists of the state are
    replaced when a look was taken, so those for "no leaf has a gradient" are known by identity.
    """

    def __init__(
        self,
        members: Callable[[Iterable[int]], Members],
        died: Callable[[Members], None] = lambda _: None,
    ) -> None:
        self._members = members
        self._died = died
        self._numbers: list[int] = []
        self._references: list[weakref.ref[torch.Tensor]] = []
        self._tracked: dict[int, int] = {}
        self._identities: list[int] = []
        self._versions: list[int] = []
        self._learn_patterns()

    def __contains__(self, leaf: Leaf) -> bool:
        return leaf.number in self._tracked

    def __len__(self) -> int:
        return len(self._numbers)

    def track(self, leaf: Leaf) -> None:
        """From now on, look at this leaf too."""
        if leaf.number in self._tracked:
            return
        if self._identities is self._all_none:
            self._identities, self._versions = self._all_none.copy(), self._no_versions.copy()
        self._tracked[leaf.number] = len(self._numbers)
        self._numbers.append(leaf.number)
        self._references.append(leaf.reference)
        identity, version = _state(leaf.reference)
        self._identities.append(identity)
        self._versions.append(version)

    def _learn_patterns(self) -> None:
        """Patterns are of all tracked leaves, in order: forget them when others are tracked."""
        self._changes: dict[Hashable, Changes] = {}
        #: all leaves had no gradient, and have one now
        self._all_filled: Changes | None = None
        self._holding: dict[Hashable, Members] = {}
        #: a set known to have all leaves in it, and the last question to ``holding``
        self._covering: Members | None = None
        self._held: tuple[list[int] | None, Members, Members] = (None, _NOBODY, _NOBODY)
        self._all_none = [_NONE] * len(self._numbers)
        self._no_versions = [_NO_VERSION] * len(self._numbers)
        if self._identities == self._all_none:
            self._identities, self._versions = self._all_none, self._no_versions

    def state(self, number: int) -> tuple[int, int]:
        """The state of one leaf at the last look."""
        index = self._tracked[number]
        return self._identities[index], self._versions[index]

    # -- looking ---------------------------------------------------------------------------------

    def look(self) -> Changes:
        """Look at all tracked leaves; what changed since the last time."""
        if len(self._all_none) != len(self._numbers):
            self._learn_patterns()
        tensors = [reference() for reference in self._references]
        try:
            deque(map(_fix_weakref, tensors), 0)  # see leaves.strong
        except TypeError:  # one of them is None: it has died
            for tensor in tensors:
                if tensor is not None:
                    _fix_weakref(tensor)
            self._drop_dead()
            return self.look()
        with undispatched():
            gradients = list(map(_grad, tensors))
            identities = list(map(id, gradients))
            if _NONE not in identities:
                versions = list(map(_version, gradients))
                if self._identities is self._all_none and self._all_filled is not None:
                    self._identities, self._versions = identities, versions
                    return self._all_filled
            elif identities == self._all_none:
                identities, versions = self._all_none, self._no_versions
            else:
                versions = [_NO_VERSION if each is None else each._version for each in gradients]
        was, were = self._identities, self._versions
        if identities == was and versions == were:
            return NOTHING
        self._identities, self._versions = identities, versions
        return self._pattern(was, were)

    def _pattern(self, was: list[int], were: list[int]) -> Changes:
        identities, versions = self._identities, self._versions
        key: Hashable
        if was is self._all_none and identities is not self._all_none:
            if _NONE not in identities:
                self._all_filled = self._made(was, were)
                return self._all_filled
            key = ("filled", tuple(map(ne, identities, self._all_none)))
        elif identities == was:
            key = tuple(map(sub, versions, were))
        else:
            key = tuple(map(_mark, was, identities, were, versions))
        known = self._changes.get(key)
        if known is None:
            if len(self._changes) >= PATTERNS:
                self._changes.clear()
            known = self._changes[key] = self._made(was, were)
        return known

    def _made(self, was: list[int], were: list[int]) -> Changes:
        pairs = zip(
            self._numbers,
            map(_mark, was, self._identities, were, self._versions),
            strict=True,
        )
        marks = {number: mark for number, mark in pairs if mark}
        left = self._members(number for number, mark in marks.items() if mark != "emptied")
        kinds = set(marks.values())
        (added,) = kinds if len(kinds) == 1 else (0,)
        return Changes(
            marks,
            left,
            odd=not kinds <= {"filled", 1},
            added=added if isinstance(added, int) else 0,
        )

    def _drop_dead(self) -> None:
        kept = [
            index
            for index, reference in enumerate(self._references)
            if strong(reference) is not None
        ]
        known = frozenset(self._numbers)
        self._numbers = [self._numbers[index] for index in kept]
        self._references = [self._references[index] for index in kept]
        self._identities = [self._identities[index] for index in kept]
        self._versions = [self._versions[index] for index in kept]
        self._tracked = {number: index for index, number in enumerate(self._numbers)}
        self._learn_patterns()
        self._died(known.difference(self._numbers))

    # -- what was seen -----------------------------------------------------------------------------

    def assume_empty(self, numbers: Members) -> None:
        """A clearing to None was just seen: spare the look."""
        if len(self._all_none) != len(self._numbers):
            self._learn_patterns()
        if numbers is self._covering or numbers.issuperset(self._numbers):
            self._covering = numbers
            self._identities, self._versions = self._all_none, self._no_versions
            return
        identities, versions = self._identities.copy(), self._versions.copy()
        for index in self._indices(numbers):
            identities[index], versions[index] = ABSENT
        self._identities, self._versions = identities, versions

    def holding(self, numbers: Members) -> Members:
        """Those of the leaves that had a gradient at the last look."""
        identities = self._identities
        if identities is self._all_none:
            return _NOBODY
        if len(self._all_none) != len(self._numbers):
            self._learn_patterns()
        state, asked, answer = self._held
        if state is identities and asked is numbers:
            return answer
        full = _NONE not in identities
        key = (numbers, full or tuple(map(ne, identities, repeat(_NONE))))
        known = self._holding.get(key)
        if known is None:
            if len(self._holding) >= PATTERNS:
                self._holding.clear()
            known = self._holding[key] = self._members(
                self._numbers[index]
                for index in self._indices(numbers)
                if identities[index] != _NONE
            )
        self._held = (identities, numbers, known)
        return known

    def _indices(self, numbers: Members) -> list[int]:
        tracked = self._tracked
        return [tracked[number] for number in numbers if number in tracked]


def _state(reference: weakref.ref[torch.Tensor]) -> tuple[int, int]:
    tensor = strong(reference)
    gradient = None if tensor is None else tensor.grad
    return ABSENT if gradient is None else (id(gradient), gradient._version)


def _mark(was: int, now: int, before: int, version: int) -> Mark:
    """What became of one leaf; 0 when nothing did."""
    if was == now and version >= before:
        return version - before
    if was == _NONE:
        return "filled"
    return "emptied" if now == _NONE else "replaced"
