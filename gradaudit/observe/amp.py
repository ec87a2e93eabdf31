"""Gradient scaling: which losses a ``GradScaler`` has scaled, and when it takes the scale out.

``GradScaler.step`` unscales by the same method as ``unscale_`` does, unless that was called
before (torch 2.4 to 2.15); a scaler that is not enabled does neither.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import torch
from torch.amp.grad_scaler import GradScaler
from torch.optim import Optimizer

from gradaudit.observe.patches import Patches, without_this_frame


class ScalingListener(Protocol):
    """Who wants to know of scaling."""

    def scaled(self, outputs: object, results: object) -> None:
        """A loss, or several, were scaled: these became those."""

    def unscaled(self, optimizer: Optimizer, frame: FrameType) -> None:
        """The gradients of an optimizer were divided by the scale."""


def watch_scaling(patches: Patches, listener: ScalingListener) -> None:
    """Put listeners at both."""
    patches.replace(GradScaler, "scale", _scale(GradScaler.scale, listener))
    patches.replace(GradScaler, "_unscale_grads_", _unscale(GradScaler._unscale_grads_, listener))


def _scale(original: Callable[..., Any], listener: ScalingListener) -> Callable[..., Any]:
    @functools.wraps(original)
    def scale(self: GradScaler, outputs: Any) -> Any:
        try:
            result = original(self, outputs)
        except BaseException as error:
            without_this_frame(error)
            raise
        if self.is_enabled() and not torch.compiler.is_dynamo_compiling():
            listener.scaled(outputs, result)
        return result

    return scale


def _unscale(original: Callable[..., Any], listener: ScalingListener) -> Callable[..., Any]:
    @functools.wraps(original)
    def _unscale_grads_(self: GradScaler, optimizer: Optimizer, *args: Any) -> Any:
        try:
            result = original(self, optimizer, *args)
        except BaseException as error:
            without_this_frame(error)
            raise
        if not torch.compiler.is_dynamo_compiling():
            listener.unscaled(optimizer, sys._getframe(1))
        return result

    return _unscale_grads_


def tensors_of(outputs: object) -> list[torch.Tensor]:
    """The tensors that ``scale`` was given or returns: one, or a nest of iterables of them."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    if isinstance(outputs, (list, tuple)):
        return [tensor for part in outputs for tensor in tensors_of(part)]
    return []
