"""What was backpropagated, and what a GradScaler has scaled: by identity, held by nothing."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch

from gradaudit.model.sites import Site
from gradaudit.observe.graph import Below
from gradaudit.observe.leaves import strong

_Reference: TypeAlias = "weakref.ref[torch.Tensor]"
#: What a node of the graph is known by when nothing but the graph keeps it.
_Mark: TypeAlias = tuple[str, int]

#: How many of the latest are remembered.
_KEPT = 16


class Roots:
    """The roots of the latest backwards."""

    def __init__(self) -> None:
        #: those that are still there: backpropagated, and made by scaling
        self.done: dict[int, tuple[_Reference, Site]] = {}
        self.scaled: dict[int, tuple[_Reference, _Reference]] = {}
        #: the losses among the former, whether they are still there or not
        self._losses: dict[_Mark, Site] = {}

    def note_scaled(self, losses: Sequence[torch.Tensor], results: Sequence[torch.Tensor]) -> None:
        """A GradScaler made results of losses."""
        for loss, result in zip(losses, results, strict=False):  # an iterator of losses is spent
            self.scaled[id(result)] = weakref.ref(result), weakref.ref(loss)
            if len(self.scaled) > _KEPT:
                _forget_oldest(self.scaled)

    def meet(self, roots: Sequence[Any], site: Site) -> tuple[bool, Site | None]:
        """Whether a GradScaler made one of them, and where one was backpropagated before.

        What it made of a loss is the loss itself.
        """
        if not self.scaled and len(roots) == 1:
            return False, self._before(roots[0], site)
        scaled, again = False, None
        for tensor in roots:
            known = self.scaled.get(id(tensor))
            if known is not None and strong(known[0]) is tensor:
                scaled = True
                loss = strong(known[1])
                if loss is not None:
                    again = again or self._before(loss, site)
            again = again or self._before(tensor, site)
        return scaled, again

    def part_of(self, graph: Below) -> Site | None:
        """Where a loss was backpropagated before from which the roots of this graph were made.

        The tensor itself may be gone: ``loss = loss / 2`` leaves it to the graph.
        """
        marks = {_mark(node) for node in graph.inner} - {_mark(node) for node in graph.roots}
        return next((site for mark, site in self._losses.items() if mark in marks), None)

    def _before(self, tensor: Any, site: Site) -> Site | None:
        """Where a root was backpropagated before; if it was not, it is now."""
        key = id(tensor)
        done = self.done
        entry = done.get(key)  # the identity may have been another tensor's
        if entry is not None and strong(entry[0]) is tensor:
            return entry[1]
        if isinstance(tensor, torch.Tensor):  # an edge of the graph is none
            done[key] = (weakref.ref(tensor, _forgetting(done, key)), site)
            if len(done) > _KEPT:
                _forget_oldest(done)
            if tensor.numel() == 1 and tensor.grad_fn is not None:
                self._losses[_mark(tensor.grad_fn)] = site
                if len(self._losses) > _KEPT:
                    _forget_oldest(self._losses)
        return None


def _forgetting(done: dict[int, tuple[_Reference, Site]], key: int) -> Callable[[_Reference], None]:
    def forget(gone: _Reference) -> None:
        entry = done.get(key)
        if entry is not None and entry[0] is gone:
            del done[key]

    return forget


def _mark(node: Any) -> _Mark:
    return type(node).__name__, node._sequence_nr()


def _forget_oldest(known: dict[Any, Any]) -> None:
    del known[next(iter(known))]
