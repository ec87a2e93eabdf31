"""Why the backward of an operation may have made exact zeros of a gradient that was none."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from torch.autograd.function import BackwardCFunction

from gradaudit.model.events import ZeroKind

#: By the names that autograd gives to its nodes (torch 2.4 to 2.15), without ``Backward0``.
_KINDS: dict[str, ZeroKind] = {
    **dict.fromkeys(("Round", "Floor", "Ceil", "Trunc", "Sign", "Sgn", "Heaviside"), "flat"),
    **dict.fromkeys(("Clamp", "ClampMin", "ClampMax", "Hardtanh"), "bounded"),
    **dict.fromkeys(("Relu", "Threshold", "Maximum", "Minimum"), "dead"),
    **dict.fromkeys(
        (
            "Sigmoid",
            "Tanh",
            "Hardsigmoid",
            "Hardswish",
            "Hardshrink",
            "Softshrink",
            "Gelu",
            "Silu",
            "Elu",
            "Mish",
            "Softplus",
            "LogSigmoid",
            "Erf",
        ),
        "saturated",
    ),
    **dict.fromkeys(("Mul", "Where", "MaskedFill", "NativeDropout"), "zeroed"),
    "ToCopy": "underflow",
}

#: They have no slope whatever they are given, so it does not matter how small the loss is.
CONSTANT: frozenset[ZeroKind] = frozenset({"flat", "one"})

#: Shares of a whole: where the whole has one part only, the result is a constant.
SHARES = frozenset({"SoftmaxBackward0", "LogSoftmaxBackward0"})

#: Products, and which of their inputs are the factors.
_PRODUCTS = {
    "MmBackward0": (0, 1),
    "BmmBackward0": (0, 1),
    "MvBackward0": (0, 1),
    "AddmmBackward0": (1, 2),
    "BaddbmmBackward0": (1, 2),
    "ConvolutionBackward0": (0, 1),
}

#: What leads from a term of a loss to the loss, and nowhere else.
_REDUCING = frozenset(
    {"Mean", "Sum", "Add", "Sub", "Rsub", "Neg", "Stack", "Cat", "Select", "Expand"}
)

#: What hands a gradient on as it is, possibly in another shape.
PASSING = frozenset(
    {
        "TBackward0",
        "TransposeBackward0",
        "PermuteBackward0",
        "ViewBackward0",
        "UnsafeViewBackward0",
        "ReshapeAliasBackward0",
        "UnsqueezeBackward0",
        "SqueezeBackward0",
        "SqueezeBackward1",
        "AliasBackward0",
        "CloneBackward0",
        "NegBackward0",
    }
)

_NUMBER = re.compile(r"Backward\d*$")


def bare(name: str) -> str:
    """``Mul`` for ``MulBackward0``."""
    return _NUMBER.sub("", name.rpartition("::")[2])


def of_zeros(node: Any, computed: Sequence[float | None] | None) -> bool:
    """Whether a node multiplies zeros by zeros, as the gradients of both factors show."""
    factors = _PRODUCTS.get(type(node).__name__, ())
    return bool(factors) and computed is not None and all(computed[each] == 0 for each in factors)


def kind(node: Any, *, term: bool, zeros: bool, shape: tuple[int, ...] | None) -> ZeroKind:
    """Why a node may have made zeros; ``term`` is whether its result is just a term of the loss.

    ``zeros`` is what :func:`of_zeros` says of it; ``shape`` is that of its result, and known of
    :data:`SHARES` only.
    A term of a loss that is bounded below is satisfied where its slope is zero, and that is what
    it is for.
    """
    if isinstance(node, BackwardCFunction):
        return "other"  # the user's own, whatever its name
    if zeros:
        return "zeros"
    name = bare(node.name())
    if shape is not None:
        return "one" if _size(shape, node._saved_dim) == 1 else "other"
    if name == "NativeLayerNorm":
        return "one" if all(size == 1 for size in node._saved_normalized_shape) else "other"
    if name == "Div" and getattr(node, "_saved_rounding_mode", None) in {"floor", "trunc"}:
        return "flat"
    found = _KINDS.get(name, "other")
    return "satisfied" if term and found in {"bounded", "dead"} else found


def reducing(node: Any, edges: tuple[tuple[Any, int], ...]) -> bool:
    """Whether a node only adds up what it is given, or weighs it with a number."""
    name = bare(type(node).__name__)
    if type(node).__name__ in PASSING or name in _REDUCING:
        return True
    return name in {"Mul", "Div"} and sum(following is not None for following, _ in edges) == 1


def _size(shape: tuple[int, ...], dim: int) -> int:
    """Dimensions are saved as unsigned numbers, the last as 2**64 - 1 (torch 2.13)."""
    if dim >= 1 << 63:
        dim -= 1 << 64
    return shape[dim] if shape else 1
