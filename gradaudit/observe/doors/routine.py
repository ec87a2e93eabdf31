"""Calls that come from where they came from before, and what need not be asked of them again.

Behind torch's kernels the caches are cold: what counts there is not what is computed, but how many
different objects are touched on the way.  So where a call came from is kept in one object and
compared by identity, together with what the door has found out of such calls.
"""

from __future__ import annotations

from types import FrameType
from typing import Generic, TypeVar

#: How many calls of a round are remembered; a steady loop has a handful.
_MOST = 64

Usual = TypeVar("Usual")


class Routine(Generic[Usual]):
    """A call: the frames from the one that called out to the user's own, and what is ``usual``."""

    __slots__ = ("_frames", "next", "usual")

    def __init__(self, frame: FrameType, user: FrameType, usual: Usual) -> None:
        frames = [(frame.f_code, frame.f_lasti)]
        while frame is not user and frame.f_back is not None:
            frame = frame.f_back
            frames.append((frame.f_code, frame.f_lasti))
        self._frames = tuple(frames)
        self.usual = usual
        #: the one that came behind it the last time
        self.next: Routine[Usual] = self

    def again(self, frame: FrameType | None) -> bool:
        """Whether a call comes from the same place."""
        for code, at in self._frames:
            if frame is None or frame.f_lasti != at or frame.f_code is not code:
                return False
            frame = frame.f_back
        return True


class Routines(Generic[Usual]):
    """Those of one door, each with the one that is to be expected behind it."""

    __slots__ = ("_known", "latest")

    def __init__(self) -> None:
        self._known: dict[int, Routine[Usual]] = {}
        self.latest: Routine[Usual] | None = None

    def learn(self, frame: FrameType, user: FrameType | None, usual: Usual) -> None:
        """A call has come about which there was nothing to be found out; ``usual`` is interned."""
        if user is None:
            return
        routine = self._known.get(id(usual))
        if routine is None or routine.usual is not usual:
            if len(self._known) >= _MOST:
                self._known.clear()
            routine = self._known[id(usual)] = Routine(frame, user, usual)
        if self.latest is not None:
            self.latest.next = routine
        self.latest = routine

    def forget(self) -> None:
        """What was usual is to be asked about again."""
        if self.latest is not None:
            self._known.clear()
            self.latest = None
