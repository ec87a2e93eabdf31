"""Closures that a step calls more than once: what one call left is used before the next."""

from __future__ import annotations

import weakref
from dataclasses import dataclass

from torch.optim import Optimizer

from gradaudit.observe.leaves import undispatched
from gradaudit.observe.optimizers import parameters_of


@dataclass(slots=True, eq=False)
class _Step:
    """A step that calls its closure; the versions of its parameters at the last backward in it."""

    optimizer: weakref.ref[Optimizer]
    versions: int | None = None


class Evaluations:
    """Knows the steps with a closure that are ``under_way``, the innermost last.

    While there are any, it is an optimizer who asks for backwards.
    An optimizer that has written to its parameters since the last backward has made use of that
    one: LBFGS does so some twenty times a step.
    """

    def __init__(self) -> None:
        self.under_way: list[_Step] = []

    def begin(self, optimizer: Optimizer) -> None:
        """A step is about to call its closure."""
        self.end(optimizer)  # of one that has failed nobody has heard the end
        self.under_way.append(_Step(weakref.ref(optimizer)))

    def end(self, optimizer: Optimizer) -> None:
        """The step is over, and so are those within it."""
        for number, step in enumerate(self.under_way):
            if step.optimizer() is optimizer:
                del self.under_way[number:]
                return

    def moved(self) -> Optimizer | None:
        """At a backward: the optimizer, if it has moved its parameters since the last one."""
        step = self.under_way[-1]
        optimizer = step.optimizer()
        if optimizer is None:
            return None
        with undispatched():
            versions = sum(
                tensor._version
                for group in optimizer.param_groups
                for tensor in parameters_of(group)
                if tensor.requires_grad
            )
        before, step.versions = step.versions, versions
        return None if before is None or before == versions else optimizer
