"""Who wants to know what is done to gradients."""

from __future__ import annotations

from types import FrameType
from typing import Protocol

import torch

from gradaudit.model.sites import Site
from gradaudit.observe.leaves import Leaf


class GradientWatcher(Protocol):
    """Who wants to hear what the user's code did to gradients by hand."""

    def cleared_by_hand(self, leaf: Leaf, site: Site | None, *, to_none: bool) -> None:
        """A gradient became None or zeros."""

    def assigned_by_hand(self, leaf: Leaf, site: Site | None) -> None:
        """A gradient was put in."""

    def rescaled(self, leaf: Leaf, site: Site | None, *, clipped: bool, filling: bool) -> None:
        """A gradient was changed in place; ``filling`` is whether values were put in."""

    def updated_by_hand(self, leaf: Leaf, site: Site) -> None:
        """A leaf was updated with its own gradient."""

    def requires_grad_set(self, leaf: Leaf, site: Site, *, value: bool) -> None:
        """A leaf was frozen or thawed."""

    def gradient_read(self, tensor: torch.Tensor, frame: FrameType, *, present: bool) -> None:
        """``.grad`` was read."""
