"""What is known of a backward before it runs."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.model import events as ev
from gradaudit.model.events import Members
from gradaudit.model.sites import Site


@dataclass(frozen=True, slots=True, eq=False)
class Beginning:
    """What is known of a backward before it runs; see :class:`gradaudit.model.events.Backward`.

    Interned by whoever makes them, and compared by identity: they are keys of what is asked in
    every iteration.
    """

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
