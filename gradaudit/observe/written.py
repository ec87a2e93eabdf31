"""What it means that a gradient or a parameter was written into, and by whom."""

from __future__ import annotations

import math
import os
from types import FrameType
from typing import Any

import torch
from torch._subclasses import FakeTensor

from gradaudit.observe.flow import Node, gradients_behind
from gradaudit.observe.operations import Operation

#: Operations that can make a gradient zero in place; after any of them its value is looked at.
_ZEROING = frozenset(
    {
        "zero_",
        "fill_",
        "mul_",
        "__imul__",
        "copy_",
        "sub_",
        "__isub__",
        "set_",
        "masked_fill_",
        "_foreach_zero_",
        "_foreach_mul_",
        "__setitem__",
        "clamp_",
        "uniform_",
    }
)
#: Operations that put values into a gradient, whatever was in it.
FILLING = frozenset(
    {
        "add_",
        "__iadd__",
        "sub_",
        "__isub__",
        "copy_",
        "set_",
        "lerp_",
        "addcmul_",
        "addcdiv_",
        "normal_",
        "index_add_",
        "index_copy_",
        "scatter_",
        "scatter_add_",
        "_foreach_add_",
        "_foreach_sub_",
        "_foreach_copy_",
        "_foreach_lerp_",
        "__setitem__",
    }
)
_CLIPPING = "clip_grad.py"
_CLAMPS = frozenset({"clamp_", "clip_", "clamp_min_", "clamp_max_"})
_SCALES = frozenset({"mul_", "__imul__", "div_", "__itruediv__", "_foreach_mul_", "_foreach_div_"})
#: Where torch's own optimizers lie.
_OPTIMIZERS = os.path.dirname(torch.optim.__file__) + os.sep


def by_an_optimizer(frame: FrameType) -> bool:
    """Whether the step of one of torch's own optimizers is writing: it is told as a whole.

    Called by hand, the functions beneath it (``torch.optim.sgd.sgd``) are the user's own update.
    """
    inner: FrameType | None = frame
    while inner is not None and inner.f_code.co_filename.startswith(_OPTIMIZERS):
        if inner.f_code.co_name == "step":
            return True
        inner = inner.f_back
    return False


def only_measured(frame: FrameType) -> bool:
    """Whether ``clip_grad_norm_`` was called for the norm only: infinity bounds nothing."""
    if not frame.f_code.co_filename.endswith(_CLIPPING):
        return False
    return frame.f_locals.get("max_norm") == math.inf


def clips(operation: Operation, others: list[Node], frame: FrameType) -> bool:
    """Whether a change of a gradient bounds it.

    By torch's own functions, by clamping, or by a factor computed from gradients: their norm.
    """
    if frame.f_code.co_filename.endswith(_CLIPPING) or operation.name in _CLAMPS:
        return True
    return operation.name in _SCALES and any(map(gradients_behind, others))


def can_zero(operation: Operation, given: tuple[Any, ...]) -> bool:
    """Whether zeros that an operation leaves in a gradient can be its own doing.

    A factor or a bound that is not zero leaves only those that were there before.
    """
    if operation.name not in _ZEROING:
        return False
    bounded = operation.name in _SCALES or operation.name in _CLAMPS
    return not bounded or any(map(_is_nothing, given))


def _is_nothing(value: object) -> bool:
    if isinstance(value, torch.Tensor):
        return is_zero(value)
    return isinstance(value, (int, float)) and value == 0


def is_zero(tensor: torch.Tensor) -> bool:
    """Whether every element is zero; sparse, meta and fake tensors are never said to be."""
    if tensor.layout is not torch.strided or tensor.is_meta or isinstance(tensor, FakeTensor):
        return False
    return not bool(tensor.count_nonzero())
