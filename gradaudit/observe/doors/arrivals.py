"""Whether what torch has just told is anything to listen to, and where in the user's code it is."""

from __future__ import annotations

from threading import get_ident
from types import FrameType

from gradaudit.observe.care import Care
from gradaudit.observe.probe import Probe
from gradaudit.observe.sites import SiteBook


class Arrivals:
    """One thread is followed: the one that trained first.  ``off`` while nobody watches.

    ``known`` is that thread once there is nothing more to be asked: for the sake of what runs in
    every iteration, whoever compares it with ``get_ident()`` need not call ``expected``.
    """

    def __init__(self, care: Care, sites: SiteBook, probe: Probe) -> None:
        self.off = True
        self.known: int | None = None
        self._care = care
        self._sites = sites
        self._probe = probe
        self._thread: int | None = None

    def end(self) -> None:
        """Nobody watches any more."""
        self.off = True
        self.known = None

    def ours(self) -> bool:
        """Whether somebody watches, and this thread."""
        if self.off:
            return False
        return self._thread == get_ident() or self._first_thread()

    def expected(self, frame: FrameType) -> bool:
        """Whether to listen to what is called in a frame.

        Looked-at frames keep no value longer than the script does; behind the probe, once.
        """
        if not self.ours():
            return False
        if self._probe.over:
            self.known = self._thread
        self._sites.release_locals(frame)
        return True

    def _first_thread(self) -> bool:
        if self._thread is not None:
            self._care.gap(
                "training in other threads", "only the thread that trained first is followed"
            )
            return False
        self._thread = get_ident()
        if not self._probe.mode.own_thread:
            self._care.gap("the dataflow", "the training runs in a thread other than the main one")
        return True

    def nowhere(self, what: str) -> None:
        """Something was expected, and no line of the user's own code was on the stack."""
        self._care.gap(what, "no line of the user's own code was on the stack")
