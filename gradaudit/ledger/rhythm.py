"""Iterations that are event by event like the one before: counted first, folded later.

A steady training loop tells the very same events in every iteration.  While it does, an event
costs one comparison, and what the lives would have become is worked out when somebody asks.
"""

from __future__ import annotations

from operator import is_
from typing import NamedTuple

from gradaudit.model.events import Event

#: The longest iteration, in events, that is compared with the next.
_LONGEST = 4096


class Missed(NamedTuple):
    """Events that were counted: so many rounds of the same, and the beginning of one more."""

    round: tuple[Event, ...]
    rounds: int
    rest: tuple[Event, ...]


class Rhythm:
    """Recognises repeated iterations.

    ``counted`` is how many iterations have begun that are not folded yet.  While a repetition is
    expected, ``round`` is what is to come, over and over: the rest of an iteration, and the event
    that begins the next one; ``next``, at the index ``at``, is the one that is expected now.  When
    it has come, the ledger moves all three on.
    """

    __slots__ = ("_before", "_current", "at", "counted", "next", "round")

    def __init__(self) -> None:
        self.counted = 0
        self.next: Event | None = None
        self.round: tuple[Event, ...] = ()
        self.at = 0
        self._before: list[Event] = []
        self._current: list[Event] = []

    def missed(self) -> Missed | None:
        """All that was counted, to be folded now; nothing is expected any more."""
        if not self.round:
            return None
        missed = Missed(self.round, self.counted, self.round[: self.at])
        self.round, self.at, self.counted, self.next = (), 0, 0, None
        self._before, self._current = [], []
        return missed

    def folded(self, event: Event, *, begins: bool) -> None:
        """An event was folded; ``begins`` is whether it began an iteration."""
        if not begins:
            if len(self._current) < _LONGEST:
                self._current.append(event)
            return
        if _same(self._before, self._current) and event is self._current[0]:
            self.round = (*self._current[1:], event)
            self.at, self.next = 0, self.round[0]
        self._before, self._current = self._current, [event]


def _same(one: list[Event], other: list[Event]) -> bool:
    return len(one) == len(other) < _LONGEST and len(one) > 0 and all(map(is_, one, other))
