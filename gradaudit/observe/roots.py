"""What was backpropagated, and what a GradScaler has scaled: by identity, held by nothing."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Iterable

import torch

from gradaudit.model.sites import Site
from gradaudit.observe.leaves import strong

#: How many of the latest are remembered.
_KEPT = 16


class Roots:
    """The roots of the latest backwards."""

    def __init__(self) -> None:
        self._done: deque[tuple[weakref.ref[torch.Tensor], Site]] = deque(maxlen=_KEPT)
        self._scaled: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_KEPT)

    def note_scaled(self, tensors: Iterable[torch.Tensor]) -> None:
        """These were made by a GradScaler."""
        self._scaled.extend(map(weakref.ref, tensors))

    def scaled(self, tensors: list[torch.Tensor]) -> bool:
        """Whether one of them was made by a GradScaler."""
        return any(strong(known) is tensor for known in self._scaled for tensor in tensors)

    def again(self, tensors: list[torch.Tensor], site: Site) -> Site | None:
        """Where one of them was backpropagated before; from now on, all of them were here."""
        before = next(
            (place for known, place in self._done for tensor in tensors if strong(known) is tensor),
            None,
        )
        self._done.extend((weakref.ref(tensor), site) for tensor in tensors)
        return before
