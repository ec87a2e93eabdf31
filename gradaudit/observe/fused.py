"""Modules that take a fused path in evaluation, unless a function mode is active.

Under any function mode ``nn.TransformerEncoder`` and ``nn.MultiheadAttention`` fall back to the
slow path, whose results differ in the last bits (torch 2.13).  So where they might take the fused
one the mode stands aside, and the whole module counts as one operation.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import torch

from gradaudit.observe.patches import Patches, without_this_frame

_FUSED = (
    torch.nn.TransformerEncoder,
    torch.nn.TransformerEncoderLayer,
    torch.nn.MultiheadAttention,
)


class FusedListener(Protocol):
    """Who makes way for them."""

    def stands_aside(self, module: torch.nn.Module) -> bool:
        """A module that has a fused path is called: whether the mode has made way for it."""

    def comes_back(self) -> None:
        """It has run."""

    def made_by(
        self, module: torch.nn.Module, args: tuple[Any, ...], result: object, frame: FrameType
    ) -> None:
        """It has made way, and this is what the module made of its arguments."""


def let_fused_paths_be(patches: Patches, listener: FusedListener) -> None:
    """Wrap the forwards of the modules that have a fused path."""
    for owner in _FUSED:
        patches.replace(owner, "forward", _forward(owner.forward, listener))


def _forward(original: Callable[..., Any], listener: FusedListener) -> Callable[..., Any]:
    @functools.wraps(original)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        aside = listener.stands_aside(self)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        finally:
            if aside:
                listener.comes_back()
        if aside:
            listener.made_by(self, (*args, *kwargs.values()), result, sys._getframe(1))
        return result

    return forward


def may_fuse(module: torch.nn.Module) -> bool:
    """Torch's own conditions, as far as they do not depend on the input."""
    if module.training:
        return False
    return not torch.is_grad_enabled() or not any(
        parameter.requires_grad for parameter in module.parameters()
    )
