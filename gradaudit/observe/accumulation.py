"""Backwards that add to the same gradients, one right after the other: counted, looked at once.

Behind every one of them ``.grad`` would look as before, its version one higher.  So where a series
of them was seen to go like that, only its length is kept, and one look behind the last of them
tells from the versions that each has added its part, or which of them have not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from gradaudit.model import events as ev
from gradaudit.model.events import Event, Members
from gradaudit.observe.beginnings import Beginning
from gradaudit.observe.gradients import Changes, Gradients

#: How many backwards a series may have before it is looked at.
_LONGEST = 4096


class Deposits(Protocol):
    """Tells the ledger of a backward."""

    def __call__(self, beginning: Beginning, deposited: Members, *, failed: bool = False) -> None:
        """It began like this, and added to these."""


@dataclass(slots=True, eq=False)
class _Usual:
    """What a kind of backward adds to, and the versions of gradients that it has just made.

    These are not always 0: making one may take more than one operation (torch 2.13).
    """

    deposited: Members
    fresh: dict[int, int] = field(default_factory=dict)


class Accumulation:
    """The series under way, if there is one.

    ``deposits`` tells the ledger of one backward, ``tell`` of anything else.
    """

    def __init__(
        self,
        gradients: Gradients,
        members: Callable[[Iterable[int]], Members],
        deposits: Deposits,
        tell: Callable[[Event], None],
    ) -> None:
        self._gradients = gradients
        self._members = members
        self._deposits = deposits
        self._tell = tell
        #: the kinds of backward that were seen to add in place; None once they did otherwise
        self.usual: dict[Beginning, _Usual | None] = {}
        self._usual = _Usual(frozenset())
        #: the latest backward, if another like it right behind it may be counted
        self.beginning: Beginning | None = None
        #: how many were counted that nobody has looked at
        self.waiting = 0

    def looked_at(self, beginning: Beginning, changes: Changes, *, follows: bool) -> None:
        """A backward was looked at; ``follows`` is whether it came right behind one like it."""
        usual = self.usual.get(beginning)
        if usual is None:
            if follows and changes.added == 1:
                self.usual.setdefault(beginning, _Usual(changes.left))
        elif usual.deposited is changes.left and not changes.odd:
            if not usual.fresh and {"filled"}.issuperset(changes.marks.values()):
                state = self._gradients.state
                usual.fresh = {leaf: state(leaf)[1] for leaf in changes.left}
            if usual.fresh:
                self.beginning, self._usual = beginning, usual

    def counts(self, beginning: Beginning | None) -> bool:
        """Whether a backward that is about to run is just one more of the series."""
        if beginning is not self.beginning or self.waiting >= _LONGEST:
            return False
        self.waiting += 1
        return True

    def end(self, *, failed: bool = False) -> None:
        """Look, and tell of those that were counted; the last of them may have ``failed``."""
        beginning, self.beginning = self.beginning, None
        count, self.waiting = self.waiting, 0
        if not count or beginning is None:
            return
        changes = self._gradients.look()
        if changes.left is self._usual.deposited and changes.added == count and not failed:
            for _ in range(count):
                self._deposits(beginning, changes.left)
            return
        self.usual[beginning] = None  # one look is not enough for backwards like these
        parts = self._parts(changes)
        self._tell_apart(beginning, count - failed, changes, parts)
        if failed:
            reached = self._members(leaf for leaf, number in parts.items() if number >= count)
            self._deposits(beginning, reached, failed=True)
        rescaled = self._members(leaf for leaf, number in parts.items() if number > count)
        if rescaled:
            self._tell(ev.Rescaled(None, rescaled))

    def interrupt(self) -> Members:
        """The last of them is still running: tell of the others; what it has reached by now."""
        beginning, self.beginning = self.beginning, None
        count, self.waiting = self.waiting, 0
        if beginning is None:
            return self._members(())
        self.usual[beginning] = None
        changes = self._gradients.look()
        parts = self._parts(changes)
        self._tell_apart(beginning, count - 1, changes, parts)
        return self._members(leaf for leaf, number in parts.items() if number >= count)

    def _parts(self, changes: Changes) -> dict[int, int]:
        """How many backwards each gradient that is there now is the sum of, by its version."""
        return {
            leaf: mark if isinstance(mark, int) else self._made_of(leaf)
            for leaf, mark in changes.marks.items()
            if mark != "emptied"
        }

    def _made_of(self, leaf: int) -> int:
        return self._gradients.state(leaf)[1] - self._usual.fresh.get(leaf, 0) + 1

    def _tell_apart(
        self, beginning: Beginning, count: int, changes: Changes, parts: dict[int, int]
    ) -> None:
        """Not every one of them has added its part to every gradient, or something else was done.

        A new gradient is made of the last ones; where an old one has fewer parts than there were
        backwards, which of them it lacks makes no difference.
        """
        old = {leaf for leaf, mark in changes.marks.items() if mark in {"emptied", "replaced"}}
        missed = {leaf: max(count - parts.get(leaf, 0), 0) for leaf in changes.marks}
        for number in range(count + 1):
            cleared = self._members(leaf for leaf in old if missed[leaf] == number)
            if cleared:
                self._tell(ev.Cleared(None, cleared, cleared, by_hand=True, to_none=True))
            if number < count:
                reached = {leaf for leaf, first in missed.items() if number >= first}
                self._deposits(beginning, self._members(reached | old))
