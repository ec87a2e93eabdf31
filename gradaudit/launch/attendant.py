"""What is done for the user between two iterations, seldom enough not to be felt.

The recorder calls at the end of an iteration, and is told at the end of which one to call again:
between two calls the script pays for one comparison of integers.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from gradaudit.launch.live import Live
from gradaudit.launch.progress import Progress

if TYPE_CHECKING:
    from gradaudit.observe.recorder import Recorder

#: The iteration that never comes.
NEVER = sys.maxsize


class Attendant:
    """Findings that are proven, and how far it is; ``broken`` hears what goes wrong with it."""

    def __init__(
        self, live: Live, progress: Progress | None, broken: Callable[[Exception], None]
    ) -> None:
        self._live = live
        self._progress = progress
        self._broken = broken

    def attend(self, recorder: Recorder, iterations: int) -> int:
        """So many iterations are over; answer after how many to be called again."""
        try:
            due = self._live.attend(recorder, iterations)
            if self._progress is not None:
                due = min(due, self._progress.attend(iterations, recorder.audit_seconds))
        except Exception as error:  # TrainingStopped is none; the report is still to come
            self._broken(error)
            return NEVER
        return due
