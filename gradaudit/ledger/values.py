"""How large the gradients of a leaf were, and what spoilt them: samples, in bounded memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from math import isfinite
from operator import itemgetter

from gradaudit.ledger.stretches import Stretches
from gradaudit.ledger.tally import Tally
from gradaudit.model.events import NonfiniteMade, ZeroMade
from gradaudit.model.timelines import Stretch, Worthless

#: How many norms are kept for one leaf; beyond, every other one is dropped.
NORMS = 200

#: How many operations that spoilt a leaf are remembered until the step tells whether it mattered.
_SPOILT = 4

#: How many operations that made zeros are kept for one leaf.
_FLATTENED = 4


class Norms:
    """Norms by iteration, thinned evenly as they become many.

    Besides, those of iterations that are powers of two are kept: there all ranks can be compared.
    In arrays: a big model has thousands of leaves, and a tuple for each sample would be felt.
    """

    __slots__ = ("_iterations", "_landmarks", "_left_out", "_norms", "_stride")

    def __init__(self) -> None:
        self._iterations = array("q")
        self._norms = array("d")
        self._landmarks = array("d")  # iteration, norm, iteration, norm …
        self._stride = 1
        self._left_out = 0

    def add(self, iteration: int, norm: float) -> None:
        """One more sample."""
        if not iteration & (iteration - 1):
            self._landmarks.extend((iteration, norm))
        self._left_out += 1
        if self._left_out < self._stride:
            return
        self._left_out = 0
        if len(self._norms) == NORMS:
            self._iterations = self._iterations[::2]
            self._norms = self._norms[::2]
            self._stride *= 2
        self._iterations.append(iteration)
        self._norms.append(norm)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        even = list(zip(self._iterations, self._norms, strict=True))
        known = set(self._iterations)
        landmarks = zip(map(int, self._landmarks[::2]), self._landmarks[1::2], strict=True)
        others = [sample for sample in landmarks if sample[0] not in known]
        return iter(sorted(even + others, key=itemgetter(0)))


class Strides:
    """Iterations in order, those in even steps written as one: ``[first, last, step]``."""

    __slots__ = ("_runs",)

    def __init__(self) -> None:
        self._runs: list[list[int]] = []

    def add(self, iteration: int) -> None:
        """One more; one that is known already, or comes too late, is none."""
        if not self._runs:
            self._runs.append([iteration, iteration, 1])
            return
        run = self._runs[-1]
        first, last, step = run
        if iteration <= last:
            return
        if first == last:
            run[1:] = iteration, iteration - last
        elif iteration - last == step:
            run[1] = iteration
        else:
            self._runs.append([iteration, iteration, 1])

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return ((first, last, step) for first, last, step in self._runs)


class Values:
    """What is known of the values of one leaf's gradients.

    ``nonfinite`` counts the steps that used NaN or Inf; ``culprit`` is the operation that had made
    it for the first of them, where it was seen.  ``flattened`` are the operations that made zeros.
    """

    __slots__ = (
        "_spoilt",
        "_stretches",
        "culprit",
        "flattened",
        "nonfinite",
        "norms",
        "sampled",
        "zero",
    )

    def __init__(self) -> None:
        self.sampled = Tally()
        self.zero = Tally()
        self.nonfinite = Tally()
        self.norms = Norms()
        self.culprit: NonfiniteMade | None = None
        self.flattened: list[ZeroMade] = []
        self._spoilt: list[tuple[int, NonfiniteMade]] = []
        self._stretches: Stretches | None = None  # most leaves never need any

    def stretches(self, end: int) -> Iterator[Stretch]:
        """From when to when it was zero or not finite, in order; ``end`` is the last iteration."""
        known = self._stretches
        return iter(()) if known is None else known.told(self.sampled.count, end)

    def sample(self, iteration: int, norm: float, *, zero: bool, nonfinite: bool) -> None:
        """The gradient that a step was given."""
        self.sampled.add(iteration)
        if isfinite(norm):
            self.norms.add(iteration, norm)
        if zero:
            self.zero.add(iteration)
            self._stretch(iteration, "zero")
        if nonfinite:
            self.use(iteration)

    def use(self, iteration: int) -> None:
        """A step, or an update by hand, used NaN or Inf."""
        if not self.nonfinite:
            self.culprit = self._spoilt_in(iteration)
        self.nonfinite.add(iteration)
        self._stretch(iteration, "nonfinite")

    def _stretch(self, iteration: int, state: Worthless) -> None:
        if self._stretches is None:
            self._stretches = Stretches()
        self._stretches.add(iteration, state, self.sampled.count)

    def spoil(self, made: NonfiniteMade, iteration: int) -> None:
        """An operation made NaN or Inf of it; whether a step will use that is yet to be seen."""
        if not self.nonfinite:
            self._spoilt = [*self._spoilt[1 - _SPOILT :], (iteration, made)]

    def _spoilt_in(self, iteration: int) -> NonfiniteMade | None:
        """The last of the iteration: what came before may have been cleared, its step skipped."""
        return next((made for when, made in reversed(self._spoilt) if when == iteration), None)

    def flatten(self, made: ZeroMade) -> None:
        """An operation made zeros of it, unless the same one is known already."""
        known = self.flattened
        if len(known) < _FLATTENED and all(
            (made.site, made.kind, made.operation) != (each.site, each.kind, each.operation)
            for each in known
        ):
            known.append(made)


#: Of leaves that were never sampled.
NO_VALUES = Values()
