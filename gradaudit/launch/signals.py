"""Dying of SIGTERM and SIGHUP, but not without a report.

Whoever trains on a cluster is killed politely first.  Where the script leaves such a signal to
its default, which is to die at once, ours writes the report and then dies at once of the same
signal.  A script that installs its own handler wins.

``signal.getsignal`` must go on saying ``SIG_DFL``: frameworks ask it, and chain or stay away where
they find a handler.  It looks what is an int up among the members of an enum, so a handler that
is the int 0 besides is told to the script as exactly that.  (A script that takes what it was told
and sets it again has then chosen to die without a report.)

Python runs handlers between two bytecodes of the main thread: a call into C that never comes back
delays the death until it does.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

DEADLY = (signal.SIGTERM, signal.SIGHUP)

#: Seconds until a signal is sent once more that came while an event was being taken down.
_SOON = 0.01

#: Where what was seen is not whole while a function runs.
_RECORDING = ("gradaudit.ledger.", "gradaudit.observe.doors.")

#: Before these versions the interpreter itself took a handler that equals SIG_DFL for no handler
#: (https://github.com/python/cpython/issues/102397); there the script may see ours.
_MAY_LOOK_DEFAULT = sys.version_info >= (3, 11, 3) or (3, 10, 11) <= sys.version_info < (3, 11)


def die(signum: int) -> None:
    """Die of a signal as if it had never been handled."""
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


class DeadlySignals:
    """``last_words`` are given the signal's number, and die of it when they have been spoken."""

    def __init__(self, last_words: Callable[[int], None]) -> None:
        self._last_words = last_words
        self._handler = _LikeDefault.of(self._handle) if _MAY_LOOK_DEFAULT else self._handle
        self._armed: list[signal.Signals] = []

    def arm(self) -> None:
        """Handle the signals that have their default action."""
        for signum in DEADLY:
            if signal.getsignal(signum) is signal.SIG_DFL:
                signal.signal(signum, self._handler)
                self._armed.append(signum)

    def disarm(self) -> None:
        """Give back the default action, where ours is still in place: in a forked child, say."""
        for signum in self._armed:
            replaced = signal.signal(signum, signal.SIG_DFL)
            if replaced not in (self._handler, signal.SIG_DFL):
                signal.signal(signum, replaced)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        if _is_recording(frame):
            again = threading.Timer(_SOON, os.kill, (os.getpid(), signum))
            again.daemon = True
            again.start()
            return
        signal.signal(signum, signal.SIG_DFL)  # whoever sends it a second time means it
        self._last_words(signum)


def _is_recording(frame: FrameType | None) -> bool:
    """Whether an event is being taken down: what was seen until now is not whole at this moment."""
    while frame is not None:
        module = str(frame.f_globals.get("__name__", ""))
        if module.startswith(_RECORDING):
            return True
        frame = frame.f_back
    return False


class _LikeDefault(int):
    """A handler that nobody can tell from ``SIG_DFL``, which is 0, by asking ``signal``."""

    _handle: Callable[[int, FrameType | None], None]

    @classmethod
    def of(cls, handle: Callable[[int, FrameType | None], None]) -> _LikeDefault:
        like_default = cls(signal.SIG_DFL)
        like_default._handle = handle
        return like_default

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self._handle(signum, frame)

    def __int__(self) -> int:
        # What signal.signal can turn into an int, it takes for one; this is to stay a callable.
        raise TypeError
