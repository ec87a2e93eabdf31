"""What was backpropagated, and what a GradScaler has scaled: by identity, held by nothing."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import torch

from gradaudit.model.sites import Site
from gradaudit.observe.leaves import strong

#: How many of the latest are remembered.
_KEPT = 16


class Roots:
    """The roots of the latest backwards."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[weakref.ref[torch.Tensor], Site]] = {}
        self._scaled: dict[int, weakref.ref[torch.Tensor]] = {}

    def note_scaled(self, tensors: Iterable[torch.Tensor]) -> None:
        """These were made by a GradScaler."""
        for tensor in tensors:
            self._scaled[id(tensor)] = weakref.ref(tensor)
            _forget_oldest(self._scaled)

    def meet(self, roots: Sequence[Any], site: Site) -> tuple[bool, Site | None]:
        """Whether a GradScaler made one of them, and where one was backpropagated before."""
        scaled, again = False, None
        for tensor in roots:
            key = id(tensor)
            known = self._scaled.get(key)
            scaled = scaled or (known is not None and strong(known) is tensor)
            entry = self._done.get(key)  # the identity may have been another tensor's
            if entry is not None and strong(entry[0]) is tensor:
                again = again or entry[1]
            elif isinstance(tensor, torch.Tensor):  # an edge of the graph is none
                self._done[key] = (weakref.ref(tensor), site)
                _forget_oldest(self._done)
        return scaled, again


def _forget_oldest(known: dict[int, Any]) -> None:
    if len(known) > _KEPT:
        del known[next(iter(known))]
