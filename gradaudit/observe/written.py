"""What it means that a gradient was written into: cleared, clipped, or only measured."""

from __future__ import annotations

import math
from types import FrameType

import torch

from gradaudit.observe.flow import Node, gradients_behind
from gradaudit.observe.operations import Operation

#: Operations that can make a gradient zero in place; after any of them its value is looked at.
ZEROING = frozenset(
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
_CLIPPING = "clip_grad.py"
_CLAMPS = frozenset({"clamp_", "clip_", "clamp_min_", "clamp_max_"})
_SCALES = frozenset({"mul_", "__imul__", "div_", "__itruediv__", "_foreach_mul_", "_foreach_div_"})


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


def is_zero(tensor: torch.Tensor) -> bool:
    """Whether every element is zero; sparse and meta tensors are never said to be."""
    if tensor.layout is not torch.strided or tensor.is_meta:
        return False
    return not bool(tensor.count_nonzero())
