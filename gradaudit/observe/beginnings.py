"""What is known of a backward before it runs."""

from __future__ import annotations

from typing import NamedTuple

from gradaudit.model import events as ev
from gradaudit.model.events import Members
from gradaudit.model.sites import Site


class Beginning(NamedTuple):  # one is made for every backward
    """What is known of a backward before it runs; see :class:`gradaudit.model.events.Backward`."""

    site: Site
    root: str | None
    grad_mode_off: Site | None
    hopeless: bool
    made: Site | None
    scaled: bool
    again: Site | None
    closure: bool

    def event(self, deposited: Members, *, failed: bool, evaluating: bool) -> ev.Backward:
        """What the ledger is told when it has run."""
        return ev.Backward(
            self.site,
            self.root,
            deposited,
            failed,
            self.grad_mode_off,
            self.hopeless,
            self.made,
            evaluating,
            self.scaled,
            self.again,
            self.closure,
        )
