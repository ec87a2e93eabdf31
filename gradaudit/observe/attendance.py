"""The ends of iterations: where a limit stops the run, and where somebody asked to be called."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from time import monotonic
from typing import NoReturn

from gradaudit.ledger.ledger import Ledger
from gradaudit.model.run import Limits, TrainingStopped


class Attendance:
    """Looks for the end of an iteration, as seldom as it may.

    ``attend`` is called with the number of iterations that are over, and returns the number at
    which it wants to be called again.
    """

    def __init__(self, limits: Limits, ledger: Ledger, attend: Callable[[int], int]) -> None:
        self._limits = limits
        self._ledger = ledger
        self._attend = attend
        self._due = 1
        self._last = sys.maxsize if limits.max_iterations is None else limits.max_iterations
        #: how many backwards may go by until ``checking``; one ends no more than one iteration
        self.unchecked = 0
        self._began = monotonic()
        #: whether the next event is to be looked at for the end of an iteration
        self.checking = True
        #: whether a limit of the run has ended the training
        self.stopped = False

    def check(self, key: Hashable) -> None:
        """Stop where a new iteration would begin beyond the limit; else attend to what is due."""
        limits = self._limits
        if limits.max_seconds is not None and monotonic() - self._began > limits.max_seconds:
            self._stop(f"--max-seconds {limits.max_seconds:g}")
        if self._ledger.iterations >= self._last and self._ledger.would_begin_iteration(key):
            self._stop(f"--max-iterations {limits.max_iterations}")
        over = self._ledger.iteration + 1
        if over < self._due:
            self.unchecked = min(self._due, self._last) - over
            self.checking = self.unchecked <= 0 or limits.max_seconds is not None
        elif self._ledger.would_begin_iteration(key):
            try:
                self._due = self._attend(over)
            except TrainingStopped:
                self.stopped = True
                raise

    def _stop(self, reason: str) -> NoReturn:
        self.stopped = True
        raise TrainingStopped(reason)
