"""What the iterations were for one gradient: run-length encoded, and in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gradaudit.ledger.stock import Entry
from gradaudit.model.report import State
from gradaudit.model.timelines import BACKWARDS, Period, coarsened

#: How many periods a timeline has; beyond, older neighbours are joined.
PERIODS = 2048


class Timeline:
    """Periods in order, one after the other without a gap.  The last of them may still grow."""

    __slots__ = ("_periods",)

    def __init__(self) -> None:
        self._periods: list[Period] = []

    def __iter__(self) -> Iterator[Period]:
        return iter(self._periods)

    @property
    def end(self) -> int:
        """The last iteration that is told; -1 if none is."""
        return self._periods[-1].last if self._periods else -1

    def copy(self) -> Timeline:
        """An equal timeline that goes on by itself."""
        other = Timeline()
        other._periods = [*self._periods[:-1], *map(replace, self._periods[-1:])]
        return other

    def add(
        self, iteration: int, state: State, contributions: int, sources: Sequence[Entry]
    ) -> None:
        """All iterations up to this one that are not told yet were such."""
        periods = self._periods
        first = 0
        if periods:
            last = periods[-1]
            if last.state == state and last.contributions == contributions and not last.mixed:
                last.last = iteration
                if sources:
                    _owe(last, sources)
                return
            first = last.last + 1
            if len(periods) >= PERIODS:
                periods[:] = coarsened(periods, PERIODS // 2)
        new = Period(first, iteration, state, contributions)
        _owe(new, sources)
        periods.append(new)


def _owe(period: Period, sources: Sequence[Entry]) -> None:
    """Note from which backwards the contributions of a period came."""
    for entry in sources:
        if entry.site not in period.backwards and len(period.backwards) < BACKWARDS:
            period.backwards = (*period.backwards, entry.site)
