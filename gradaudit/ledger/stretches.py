"""From when to when the samples of a gradient were zero or not finite, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.timelines import Stretch, Worthless

#: How many stretches are kept for one leaf; beyond, every other one is dropped.
STRETCHES = 200


class Stretches:
    """Samples in a row that were alike are one stretch, from the first of them to the last.

    Thinned evenly as they become many: what is left out is not told, what is told was so.
    """

    __slots__ = ("_first", "_kept", "_last", "_left_out", "_sample", "_state", "_stride")

    def __init__(self) -> None:
        self._kept: list[Stretch] = []
        self._stride = 1
        self._left_out = 0
        self._state: Worthless | None = None
        self._first = self._last = self._sample = -1

    def add(self, iteration: int, state: Worthless, sample: int) -> None:
        """It was such in an iteration; ``sample`` counts how often it was looked at until then."""
        if iteration < self._first:  # the first step takes guesses back
            self._kept, self._state = [], None
        if not self._goes_on(iteration, state, sample):
            if self._state is not None:
                self._keep(Stretch(self._first, self._last, self._state))
            self._state, self._first = state, iteration
        self._last, self._sample = iteration, sample

    def _goes_on(self, iteration: int, state: Worthless, sample: int) -> bool:
        """Whether no sample in between was another; what was not sampled was used, by hand."""
        return state == self._state and (sample == self._sample + 1 or iteration <= self._last + 1)

    def _keep(self, stretch: Stretch) -> None:
        self._left_out += 1
        if self._left_out < self._stride:
            return
        self._left_out = 0
        if len(self._kept) == STRETCHES:
            self._kept = self._kept[::2]
            self._stride *= 2
        self._kept.append(stretch)

    def told(self, samples: int, end: int) -> Iterator[Stretch]:
        """All of them in order, after so many samples.

        The last one goes on to the ``end`` if it is of several, and no later one was another.
        """
        yield from self._kept
        if self._state is not None:
            open_ended = self._first < self._last and 0 < samples == self._sample
            yield Stretch(self._first, end if open_ended else self._last, self._state)
