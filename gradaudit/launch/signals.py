"""Dying of SIGTERM and SIGHUP, but not without a report.

Whoever trains on a cluster is killed politely first.  Where the script leaves such a signal to
its default, which is to die at once, ours writes the report and then dies at once of the same
signal.  A script that installs its own handler wins.

``signal.getsignal`` must go on saying ``SIG_DFL``: frameworks ask it, and chain or stay away where
they find a handler.  It looks the handler up among the members of an enum, by equality, so a
handler that equals ``SIG_DFL`` is told to the script as exactly that.  (A script that takes what
it was told and sets it again has then chosen to die without a report.)

Python runs handlers between two bytecodes of the main thread: a call into C that never comes back
delays the death until it does.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType

DEADLY = (signal.SIGTERM, signal.SIGHUP)

#: Before these versions the interpreter itself took a handler that equals SIG_DFL for no handler
#: (https://github.com/python/cpython/issues/102397); there the script may see ours.
_MAY_EQUAL_DEFAULT = sys.version_info >= (3, 11, 3) or (3, 10, 11) <= sys.version_info < (3, 11)


def die(signum: int) -> None:
    """Die of a signal as if it had never been handled."""
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)


class DeadlySignals:
    """``last_words`` are spoken once, in the handler, with the number of the signal."""

    def __init__(self, last_words: Callable[[int], None]) -> None:
        self._last_words = last_words
        self._handlers: dict[signal.Signals, _LikeDefault] = {}

    def arm(self) -> None:
        """Handle the signals that have their default action."""
        for signum in DEADLY:
            if signal.getsignal(signum) is signal.SIG_DFL:
                self._handlers[signum] = handler = _LikeDefault(self._handle)
                signal.signal(signum, handler)

    def disarm(self) -> None:
        """Give back the default action, where ours is still in place: in a forked child, say."""
        for signum, handler in self._handlers.items():
            replaced = signal.signal(signum, signal.SIG_DFL)
            if replaced is not handler and replaced is not signal.SIG_DFL:
                signal.signal(signum, replaced)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        del frame
        signal.signal(signum, signal.SIG_DFL)  # whoever sends it a second time means it
        self._last_words(signum)
        die(signum)


class _LikeDefault:
    """A handler that nobody can tell from ``SIG_DFL`` by asking ``signal``."""

    def __init__(self, handle: Callable[[int, FrameType | None], None]) -> None:
        self._handle = handle

    def __call__(self, signum: int, frame: FrameType | None) -> None:
        self._handle(signum, frame)

    def __eq__(self, other: object) -> bool:
        return (
            self is other
            or (_MAY_EQUAL_DEFAULT and other is signal.SIG_DFL)
            or (_MAY_EQUAL_DEFAULT and type(other) is int and other == int(signal.SIG_DFL))
        )

    def __hash__(self) -> int:
        return hash(signal.SIG_DFL)
