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
    expected, ``_round`` is what is to come, over and over: the rest of an iteration, and the event
    that begins the next one.
    """

    def __init__(self) -> None:
        self.counted = 0
        #: what is expected next
        self.next: Event | None = None
        self._round: tuple[Event, ...] = ()
        self._at = 0
        self._before: list[Event] = []
        self._current: list[Event] = []

    def went_on(self) -> None:
        """The event that was expected has come: it is counted."""
        at = self._at + 1
        if at == len(self._round):
            at = 0
            self.counted += 1
        self._at, self.next = at, self._round[at]

    def missed(self) -> Missed | None:
        """All that was counted, to be folded now; nothing is expected any more."""
        if not self._round:
            return None
        missed = Missed(self._round, self.counted, self._round[: self._at])
        self._round, self._at, self.counted, self.next = (), 0, 0, None
        self._before, self._current = [], []
        return missed

    def folded(self, event: Event, *, begins: bool) -> None:
        """An event was folded; ``begins`` is whether it began an iteration."""
        if not begins:
            if len(self._current) < _LONGEST:
                self._current.append(event)
            return
        if _same(self._before, self._current) and event is self._current[0]:
            self._round = (*self._current[1:], event)
            self._at, self.next = 0, self._round[0]
        self._before, self._current = self._current, [event]


def _same(one: list[Event], other: list[Event]) -> bool:
    return len(one) == len(other) < _LONGEST and len(one) > 0 and all(map(is_, one, other))
