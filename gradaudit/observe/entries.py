"""Where leaves first took part in an operation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradaudit.observe.sites import RawSite


class Entries:
    """Where leaves first took part in operations: the stack of places, the innermost first."""

    def __init__(self) -> None:
        self._known: set[int] = set()
        self._fresh: dict[int, tuple[RawSite, ...]] = {}

    def __contains__(self, leaf: int) -> bool:
        return leaf in self._known

    def __iter__(self) -> Iterator[int]:
        return iter(self._known)

    def note(self, leaf: int, stack: tuple[RawSite, ...]) -> None:
        """A leaf took part in an operation, for the first time."""
        if stack:
            self._known.add(leaf)
            self._fresh[leaf] = stack

    def take(self) -> Iterable[tuple[int, tuple[RawSite, ...]]]:
        """Those that are new since the last time."""
        fresh, self._fresh = self._fresh, {}
        return fresh.items()
