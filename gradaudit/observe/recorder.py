"""The recorder: the one object launch holds while the script runs."""

from __future__ import annotations

from gradaudit.model.run import Limits


class Recorder:
    """Watches one run.  STUB, being written."""

    def __init__(self, limits: Limits, *, main_file: str | None) -> None:
        self.limits = limits
        self.main_file = main_file

    def install(self) -> None:
        """Put every observer in place; called once, right after torch was imported."""

    def finish(self) -> object:
        """Take every observer away again and hand over what was seen.  Idempotent."""
        return None
