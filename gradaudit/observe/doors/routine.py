"""Calls that come from where they came from before, and what need not be asked of them again.

Behind torch's kernels the caches are cold: what counts there is not what is computed, but how many
different objects are touched on the way.  So where a call came from is kept in one object and
compared by identity, together with what the door has found out of such calls.
"""

from __future__ import annotations

from types import FrameType
from typing import Generic, TypeVar

Usual = TypeVar("Usual")


class Routine(Generic[Usual]):
    """A call: the frame that called, the user's own further out, and what is ``usual`` of it."""

    __slots__ = ("_at", "_code", "_hops", "_own", "_own_at", "next", "usual")

    def __init__(self, frame: FrameType, user: FrameType, usual: Usual) -> None:
        self._code, self._at = frame.f_code, frame.f_lasti
        self._own, self._own_at = user.f_code, user.f_lasti
        hops, outer = 0, frame
        while outer is not user and outer.f_back is not None:
            outer, hops = outer.f_back, hops + 1
        self._hops = (None,) * hops
        self.usual = usual
        #: the one that came behind it the last time
        self.next: Routine[Usual] = self

    def again(self, frame: FrameType | None) -> bool:
        """Whether a call comes from the same place."""
        if frame is None or frame.f_lasti != self._at or frame.f_code is not self._code:
            return False
        for _ in self._hops:
            frame = frame.f_back
            if frame is None:
                return False
        return frame.f_lasti == self._own_at and frame.f_code is self._own


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


#: How many calls of a round are remembered; a steady loop has a handful.
_MOST = 64
