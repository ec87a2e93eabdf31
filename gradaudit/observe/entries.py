"""Where leaves first took part in an operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from gradaudit.observe.sites import RawSite


class Entry(NamedTuple):
    """The stack of places, the innermost first, and whether a wrapper that belongs there is not."""

    stack: tuple[RawSite, ...]
    bypassed: bool


class Entries:
    """Where leaves first took part in operations."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._fresh: dict[int, Entry] = {}
        #: those that no wrapper was called for so far
        self.bypassed: set[int] = set()

    def __contains__(self, leaf: int) -> bool:
        return leaf in self._known

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def note(self, leaf: int, entry: Entry) -> None:
        """A leaf took part in an operation, for the first time or the first inside of a wrapper."""
        if entry.stack:
            self._known.add(leaf)
            first = self._fresh.get(leaf, entry)
            self._fresh[leaf] = Entry(first.stack, entry.bypassed)
            if entry.bypassed:
                self.bypassed.add(leaf)
            else:
                self.bypassed.discard(leaf)

    def take(self) -> Iterable[tuple[int, Entry]]:
        """Those that are new since the last time."""
        fresh, self._fresh = self._fresh, {}
        return fresh.items()
