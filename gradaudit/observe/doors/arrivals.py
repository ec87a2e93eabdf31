"""Whether what torch has just told is anything to listen to, and where in the user's code it is."""

from __future__ import annotations

from threading import get_ident
from types import FrameType

from gradaudit.model.sites import Site
from gradaudit.observe.care import Care
from gradaudit.observe.probe import Probe
from gradaudit.observe.sites import SiteBook


class Arrivals:
    """One thread is followed: the one that trained first.  ``off`` while nobody watches."""

    def __init__(self, care: Care, sites: SiteBook, probe: Probe) -> None:
        self.off = True
        self._care = care
        self._sites = sites
        self._probe = probe
        self._thread: int | None = None
        self._released = False

    def ours(self) -> bool:
        """Whether somebody watches, and this thread."""
        if self.off:
            return False
        return self._thread == get_ident() or self._first_thread()

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

    def at(self, frame: FrameType, what: str) -> Site | None:
        """Where it happens; None if it is not ours.

        Looked-at frames keep no value longer than the script does; behind the probe, once.
        """
        if self.off or (self._thread != get_ident() and not self._first_thread()):
            return None
        if not self._released:
            self._released = self._probe.over
            self._sites.release_locals(frame)
        site = self._sites.here(frame)
        if site is None:
            self._care.gap(what, "no line of the user's own code was on the stack")
        return site
