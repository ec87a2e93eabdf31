"""What is known of a backward before it runs, and while it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from gradaudit.model import events as ev
from gradaudit.model.events import Members
from gradaudit.model.sites import Site
from gradaudit.observe.causes import Backward
from gradaudit.observe.flow import Ancestry
from gradaudit.observe.graph import Below


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


@dataclass(slots=True, eq=False)
class UnderWay:
    """A backward that is running, and while the probe is on, the tensors it began from.

    ``meant`` is what its roots were made from; ``hooked`` are the hooks on its graph; ``paused``
    and ``untraced`` are whether function mode and tracer are off while it runs.  ``usual`` is
    whether there is nothing to be said of it but which gradients it filled.
    """

    beginning: Beginning
    usual: bool = False
    meant: Ancestry | None = None
    graph: Below | None = None
    roots: Sequence[torch.Tensor] = ()
    hooked: Backward | None = None
    paused: bool = False
    untraced: bool = False
