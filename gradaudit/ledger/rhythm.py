"""Iterations that are event by event like those before: counted first, folded later.

A steady training loop tells the very same events in every iteration, or in every so many of them
(a GAN whose critic is trained five times as often).  While it does, an event costs one comparison,
and what the lives would have become is worked out when somebody asks.
"""

from __future__ import annotations

from typing import NamedTuple

from gradaudit.ledger.cohorts import ROUND
from gradaudit.model.events import Event

#: The longest iteration, in events, that is compared with others.
_LONGEST = 4096


class Missed(NamedTuple):
    """Events that were counted: the end of a round, so many whole rounds, the beginning of one."""

    first: tuple[Event, ...]
    round: tuple[Event, ...]
    rounds: int
    rest: tuple[Event, ...]


class Rhythm:
    """Recognises repeated iterations.

    ``counted`` is how many iterations have begun that are not folded yet.  While a repetition is
    expected, ``round`` is what is to come, over and over: the rest of an iteration, those behind
    it, and the event that begins the first again; ``begun`` is 1 for each that begins one.
    ``next``, at the index ``at``, is the one that is expected now.  When it has come, the ledger
    moves these on, and ``turns``, how often a round came to its end.
    """

    __slots__ = ("_current", "_folded", "_past", "at", "begun", "counted", "next", "round", "turns")

    def __init__(self) -> None:
        self.counted = 0
        self.next: Event | None = None
        self.round: tuple[Event, ...] = ()
        self.begun: tuple[int, ...] = ()
        self.at = self.turns = 0
        #: how far it is folded: turns and index
        self._folded = (0, 0)
        #: the latest iterations; one that is too long is like no other
        self._past: list[object] = []
        self._current: list[Event] = []

    def missed(self) -> Missed | None:
        """All that was counted, to be folded now; what is expected next is the same."""
        now = (self.turns, self.at)
        if now == self._folded:
            return None
        (turns, at), self._folded, self.counted = self._folded, now, 0
        if turns == self.turns:
            return Missed(self.round[at : self.at], self.round, 0, ())
        return Missed(self.round[at:], self.round, self.turns - turns - 1, self.round[: self.at])

    def interrupted(self) -> None:
        """Something else has come than was expected, and all that was missed is folded."""
        if not self.round:
            return
        telling = 2 * ROUND // sum(self.begun) + 1  # what was before is forgotten by then
        for _ in range(min(self.turns, telling)):
            self._note_all(len(self.round))
        self._note_all(self.at)
        self.round, self.begun, self.next = (), (), None
        self.at, self.turns, self._folded = 0, 0, (0, 0)

    def folded(self, event: Event, *, begins: bool) -> None:
        """An event was folded; ``begins`` is whether it began an iteration."""
        self._note(event, begins=begins)
        if begins:
            self._expect(event)

    def _note_all(self, count: int) -> None:
        for event, begins in zip(self.round[:count], self.begun, strict=False):
            self._note(event, begins=bool(begins))

    def _note(self, event: Event, *, begins: bool) -> None:
        if not begins:
            if len(self._current) < _LONGEST:
                self._current.append(event)
            return
        whole = len(self._current) < _LONGEST
        self._past.append(tuple(self._current) if whole else object())
        del self._past[: -2 * ROUND]
        self._current = [event]

    def _expect(self, event: Event) -> None:
        """Look for the shortest round that has just come twice, and that begins like this."""
        past = self._past
        for length in range(1, len(past) // 2 + 1):
            last = past[-length:]
            if last == past[-2 * length : -length]:  # events are equal if they are the same
                iterations = [each for each in last if isinstance(each, tuple)]
                events = [each for iteration in iterations for each in iteration]
                if events[:1] == [event]:
                    begun = [not index for each in iterations for index in range(len(each))]
                    self.round = (*events[1:], event)
                    self.begun = (*map(int, begun[1:]), 1)
                    self.next = self.round[0]
                    return
