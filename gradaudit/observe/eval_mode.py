"""Whether the modules that a backward reached are in eval mode."""

from __future__ import annotations

import weakref
from itertools import islice

import torch

from gradaudit.model.events import Members
from gradaudit.observe.leaves import INTERNED, Leaves

#: How many modules are asked.
_ASKED = 4


class EvalMode:
    """Judges by a few of the modules that leaves belong to, looked up once for each set."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._owners: dict[Members, tuple[weakref.ref[torch.nn.Module], ...]] = {}

    def of(self, members: Members) -> bool:
        """Whether there are such modules, and all of them are in eval mode."""
        owners = self._owners.get(members)
        if owners is None:
            if len(self._owners) >= INTERNED:
                self._owners.clear()
            known = (self._leaves[leaf].module for leaf in sorted(members))
            owners = tuple(islice((module for module in known if module is not None), _ASKED))
            self._owners[members] = owners
        evaluating = False
        for owner in owners:
            module = owner()
            if module is not None:
                if module.training:
                    return False
                evaluating = True
        return evaluating

    def let_go(self) -> None:
        """Forget what is known of sets of leaves."""
        self._owners.clear()
