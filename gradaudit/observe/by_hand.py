"""What the user's own code does to gradients between two points: gathered, ordered, remembered.

A point is an entry of a backward, a step or a clearing.  While the probe is on, the dataflow
reports every by-hand deed; the deeds of one stretch between two points, together with what they
left behind in ``.grad``, are its *habit*.  Later, when only ``.grad`` is looked at, a stretch that
leaves the same traces is taken to have done the same deeds.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from gradaudit.model import events as ev
from gradaudit.model.events import Event, Members
from gradaudit.model.sites import Site
from gradaudit.observe.gradients import Changes


@dataclass(slots=True, eq=False)
class Habit:
    """The deeds of a stretch, and the traces they leave; ``known`` leaves there were by then."""

    trace: Changes
    events: tuple[Event, ...]
    known: int = 0

    def explains(self, changes: Changes) -> bool:
        """Whether these are the traces; leaves that were not tracked then may be by now."""
        return changes is self.trace or changes.marks == self.trace.marks

    def forget(self, dead: Members) -> None:
        """Leaves have died: they leave no traces any more, and nobody reads them.

        What was done to them otherwise may still be what an iteration is known by.
        """
        if not dead.isdisjoint(self.trace.marks):
            marks = {leaf: mark for leaf, mark in self.trace.marks.items() if leaf not in dead}
            self.trace = replace(self.trace, marks=marks, left=self.trace.left - dead)
        self.events = _unread(self.events, dead)

    def drop_first_reads(self, before: int) -> None:
        """Of leaves that came up since the stretch was last gone through: next time it is others.

        ``before`` is how many leaves were known then.
        """
        read = {leaf for event in self.events for leaf in _read_by(event)}
        self.events = _unread(self.events, frozenset(leaf for leaf in read if leaf >= before))


def _read_by(event: Event) -> Members:
    return event.members if isinstance(event, ev.GradRead) else frozenset()


def _unread(events: Iterable[Event], leaves: Members) -> tuple[Event, ...]:
    """The events without the reads of some leaves."""
    if not leaves:
        return tuple(events)
    return tuple(
        replace(event, members=event.members - leaves) if isinstance(event, ev.GradRead) else event
        for event in events
        if not (isinstance(event, ev.GradRead) and event.members <= leaves)
    )


class Deeds:
    """By-hand deeds since the last point, one entry per kind and site, in order.

    A loop that updates and clears parameter by parameter becomes one update and one clearing of
    all of them, as long as every leaf sees the deeds in the same order.
    """

    def __init__(self, members: Callable[[Iterable[int]], Members]) -> None:
        self._members = members
        self._entries: dict[Hashable, tuple[Callable[[Members], Event], set[int]]] = {}
        self._done: list[Event] = []
        #: leaves whose ``.grad`` the deeds touched, so that its change needs no other explanation
        self.explained: set[int] = set()

    def cleared(self, leaf: int, site: Site | None, *, to_none: bool) -> None:
        """A gradient became None or zeros."""
        self.explained.add(leaf)
        self._add(
            ("cleared", site, to_none),
            leaf,
            lambda m: ev.Cleared(site, m, m, by_hand=True, to_none=to_none),
        )

    def assigned(self, leaf: int, site: Site | None) -> None:
        """A gradient was put in."""
        self.explained.add(leaf)
        self._add(("assigned", site), leaf, lambda m: ev.Assigned(site, m))

    def rescaled(self, leaf: int, site: Site | None, *, clipped: bool, filling: bool) -> None:
        """A gradient was changed in place."""
        self.explained.add(leaf)
        self._add(("rescaled", site), leaf, lambda m: ev.Rescaled(site, m, clipped, filling))

    def updated(self, leaf: int, site: Site) -> None:
        """A leaf was updated with its own gradient."""
        self._add(("updated", site), leaf, lambda m: ev.Updated(site, m))

    def read(self, leaf: int, site: Site) -> None:
        """A gradient was looked at."""
        self._add(("read", site), leaf, lambda m: ev.GradRead(site, m))

    def frozen(self, leaf: int, site: Site, *, value: bool) -> None:
        """``requires_grad`` was set."""
        self._add(("frozen", site, value), leaf, lambda m: ev.RequiresGradSet(site, m, value))

    def _add(self, key: tuple[Any, ...], leaf: int, make: Callable[[Members], Event]) -> None:
        entry = self._entries.get(key)
        if entry is None:
            self._entries[key] = (make, {leaf})
            return
        if leaf in entry[1] or self._came_later(key, leaf):
            self._settle()
            self._entries[key] = (make, {leaf})
        else:
            entry[1].add(leaf)

    def _came_later(self, key: Hashable, leaf: int) -> bool:
        behind = False
        for other, (_, leaves) in self._entries.items():
            if behind and leaf in leaves:
                return True
            behind = behind or other == key
        return False

    def _settle(self) -> None:
        for make, leaves in self._entries.values():
            self._done.append(make(self._members(leaves)))
        self._entries.clear()

    def take(self) -> tuple[Event, ...]:
        """The deeds since the last point, as events; the next stretch begins."""
        self._settle()
        events = tuple(self._done)
        self._done.clear()
        self.explained = set()
        return events


def unexplained(
    changes: Changes, explained: Container[int], members: Callable[[Iterable[int]], Members]
) -> list[Event]:
    """Changes of ``.grad`` that nobody was seen making, as events without a site."""
    left = {leaf: mark for leaf, mark in changes.marks.items() if leaf not in explained}
    emptied = [leaf for leaf, mark in left.items() if mark == "emptied"]
    made = [leaf for leaf, mark in left.items() if mark in {"filled", "replaced"}]
    scaled = [leaf for leaf, mark in left.items() if isinstance(mark, int)]
    events: list[Event] = []
    if emptied:
        leaves = members(emptied)
        events.append(ev.Cleared(None, leaves, leaves, by_hand=True, to_none=True))
    if made:
        events.append(ev.Assigned(None, members(made)))
    if scaled:
        events.append(ev.Rescaled(None, members(scaled)))
    return events
