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
from typing import Any

import torch

from gradaudit.observe.function_mode import CallMode
from gradaudit.observe.patches import Patches, without_this_frame

_FUSED = (
    torch.nn.TransformerEncoder,
    torch.nn.TransformerEncoderLayer,
    torch.nn.MultiheadAttention,
)

#: Told of the call: name, inputs (the module's parameters among them), result, calling frame.
Applied = Callable[[str, tuple[Any, ...], object, FrameType], None]


def let_fused_paths_be(patches: Patches, mode: CallMode, applied: Applied) -> None:
    """Wrap the forwards of the modules that have a fused path."""
    for owner in _FUSED:
        patches.replace(owner, "forward", _forward(owner.forward, mode, applied))


def _forward(original: Callable[..., Any], mode: CallMode, applied: Applied) -> Callable[..., Any]:
    @functools.wraps(original)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        aside = _may_fuse(self) and mode.own_thread and mode.entered
        if aside:
            mode.leave()
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        finally:
            if aside:
                mode.enter()
        if aside:
            inputs = (*args, *kwargs.values(), *self.parameters())
            applied(type(self).__name__, inputs, result, sys._getframe(1))
        return result

    return forward


def _may_fuse(module: torch.nn.Module) -> bool:
    """Torch's own conditions, as far as they do not depend on the input."""
    if module.training:
        return False
    return not torch.is_grad_enabled() or not any(
        parameter.requires_grad for parameter in module.parameters()
    )
