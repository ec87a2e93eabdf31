"""When to save what was seen until now: a process may be killed without a last word.

At ever longer distances, so that what is lost is at most half a run, and what saving costs stays
a small share of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import monotonic

from gradaudit.model.report import Coverage, Gap, Report

#: Seconds from the beginning to the first of them, and by how much the distance grows.
_FIRST, _GROWTH = 5.0, 2.0

#: The share of the run's time that they may take.
_BUDGET = 0.01


class Checkpoints:
    """Calls ``save`` when it is time; ``clock`` tells seconds."""

    def __init__(self, save: Callable[[], None], clock: Callable[[], float] = monotonic) -> None:
        self._save = save
        self._clock = clock
        self._began = clock()
        self._next = self._began + _FIRST

    def consider(self) -> None:
        """Now would be a moment."""
        now = self._clock()
        if now < self._next:
            return
        try:
            self._save()
        finally:
            done = self._clock()
            elapsed = done - self._began
            self._next = done + max(elapsed * (_GROWTH - 1), (done - now) / _BUDGET)


def unfinished(report: Report) -> Report:
    """Say of a report that it was saved while the training went on."""
    run, coverage = report.run, report.coverage
    gap = Gap(
        "the end of the run",
        f"this was saved in iteration {run.iterations - 1} after {run.wall_seconds:.0f} s, and "
        "nothing later: the process was killed, or still runs",
    )
    return replace(report, coverage=Coverage(coverage.probed_iterations, (gap, *coverage.gaps)))
