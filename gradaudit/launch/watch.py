"""The recorder's life: none until the script imports torch, then begun, in the end finished."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from gradaudit.launch.checkpoints import Checkpoints
from gradaudit.launch.imports import AfterImport
from gradaudit.model.run import Limits

if TYPE_CHECKING:
    from gradaudit.launch.attendant import Attendant
    from gradaudit.ledger.recording import Recording
    from gradaudit.observe.recorder import Recorder


class Watch:
    """Begins the recorder when torch has been imported; ``broken`` hears why it could not.

    ``save`` is given now and then what was seen until then; ``attendant`` is called between
    iterations.
    """

    def __init__(
        self,
        limits: Limits,
        broken: Callable[[Exception], None],
        save: Callable[[Recording], None],
        attendant: Attendant | None = None,
    ) -> None:
        self._limits = limits
        self._attendant = attendant
        self._broken = broken
        self._save = save
        self._owner = os.getpid()
        self._hook = AfterImport("torch", self._begin)
        self.recorder: Recorder | None = None

    @property
    def trained(self) -> bool:
        """Whether anything was seen that trains."""
        return self.recorder is not None and self.recorder.trained

    def arm(self) -> None:
        """Wait for the import; in a process that was forked it may have been long ago."""
        if "torch" in sys.modules:
            self._begin()
        else:
            self._hook.arm()

    def disarm(self) -> None:
        """Wait no more."""
        self._hook.disarm()

    def _begin(self) -> None:
        if os.getpid() != self._owner:
            return
        try:
            from gradaudit.observe.recorder import Recorder

            main_file = getattr(sys.modules.get("__main__"), "__file__", None)
            checkpoints = Checkpoints(lambda: self._save_so_far(recorder))
            recorder = Recorder(
                self._limits,
                None if self._attendant is None else self._attendant.attend,
                main_file=main_file,
                at_rest=checkpoints.consider,
            )
            recorder.install()
            self.recorder = recorder
        except Exception as error:  # the training goes on, whatever breaks in us
            self._broken(error)

    def _save_so_far(self, recorder: Recorder) -> None:
        try:
            self._save(recorder.so_far())
        except Exception as error:
            self._broken(error)
