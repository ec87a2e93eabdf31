"""How far it is, in the title of the terminal.

The script prints to the same terminal, and may have left the cursor in the middle of a line, or on
a progress bar of its own.  Whatever we wrote there would be mixed into it, and a line that is
erased again would take the script's half-written one along.  The title is no part of the screen: to
set it moves nothing.  It is kept on the terminal's own stack meanwhile, and given back at the end.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping
from typing import TextIO

from gradaudit.render.live import title

#: Seconds from one title to the next, at the least.
_INTERVAL = 0.5

#: Terminals that take a title; others may print what they do not understand.
_TITLED = (
    "alacritty",
    "foot",
    "ghostty",
    "gnome",
    "konsole",
    "rxvt",
    "screen",
    "st-",
    "tmux",
    "vte",
    "wezterm",
    "xterm",
)

_KEEP, _GIVE_BACK = "\x1b[22;0t", "\x1b[23;0t"


def progress_on(stream: TextIO, environment: Mapping[str, str]) -> Progress | None:
    """Make a progress, if there is somebody to see it and nothing speaks against it."""
    declined = any(environment.get(name) for name in ("NO_COLOR", "CI"))
    titled = environment.get("TERM", "").startswith(_TITLED)
    return Progress(stream) if titled and not declined and stream.isatty() else None


class Progress:
    """Sets the title at most twice a second; between two titles the iterations are counted on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._began = time.monotonic()
        self._then: float | None = None
        self._since = 0
        self._titled = False

    def attend(self, iterations: int, audit_seconds: float) -> int:
        """Set the title, if it is time to; answer after how many iterations to ask again."""
        now = time.monotonic()
        if self._then is None:  # what came before was no training
            self._then, self._since = now, iterations
        elapsed = now - self._then
        rate = (iterations - self._since) / elapsed if elapsed else 0.0
        if elapsed >= _INTERVAL:
            self._show(title(iterations, rate, audit_seconds / (now - self._began)))
            self._then, self._since, elapsed = now, iterations, 0.0
        # a quarter of the way, for iterations that become slower than they were
        return iterations + max(1, int(rate * (_INTERVAL - elapsed) / 4))

    def close(self) -> None:
        """Give the title back."""
        if self._titled:
            self._titled = False
            self._write(_GIVE_BACK)

    def _show(self, text: str) -> None:
        keep = "" if self._titled else _KEEP
        self._titled = self._write(f"{keep}\x1b]2;{text}\x07")

    def _write(self, text: str) -> bool:
        """Write in one go, unless the terminal is somebody else's for now, or takes nothing."""
        try:
            terminal = self._stream.fileno()
            ours = os.tcgetpgrp(terminal) == os.getpgrp()
            if not ours or not select.select((), (terminal,), (), 0)[1]:
                return self._titled
            self._stream.write(text)
            self._stream.flush()
        except OSError:  # it was closed
            return False
        return True
