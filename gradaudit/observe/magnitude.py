"""How large gradients are: exactly, without side effects, and without waiting for a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite
from typing import Any

import torch

_norm: Callable[[torch.Tensor, float], torch.Tensor] = torch.linalg.vector_norm
#: There are no norms of float8 and of complex halves (torch 2.13).
_MEASURED = frozenset(
    {
        torch.float16,
        torch.bfloat16,
        torch.float32,
        torch.float64,
        torch.complex64,
        torch.complex128,
    }
)
_PLAIN = (torch.Tensor, torch.nn.Parameter)


def measurable(gradient: torch.Tensor) -> bool:
    """Whether it can be computed without side effects, and is worth it.

    Subclasses may talk to other processes to do so, or record what is done to them.
    """
    return (
        type(gradient) in _PLAIN
        and gradient.layout is torch.strided
        and not gradient.is_meta
        and gradient.numel() > 0
    )


def size(value: torch.Tensor) -> float | torch.Tensor | None:
    """How large a value of the forward is, on a CPU as a number, elsewhere still on the device.

    None where that has no meaning, or asking would disturb somebody; so has it inside of vmap and
    jvp, where a tensor stands for many, or for two.
    """
    if not (
        measurable(value)
        and value.dtype in _MEASURED
        and undisturbed()
        and not torch._C._is_tracing()
        and torch._C._functorch.peek_interpreter_stack() is None
    ):
        return None
    return roughly(value) if value.is_cpu else largest(value)


def largest(gradient: torch.Tensor) -> torch.Tensor:
    """The largest magnitude in a tensor, NaN if there is one: of no dtype does it overflow."""
    return _norm(gradient.detach() if gradient.requires_grad else gradient, inf)


def roughly(gradient: torch.Tensor) -> float:
    """A norm of a tensor on a CPU: zero only if all of it is, not finite only if it is not.

    The sum of squares is ten times as fast there as the largest magnitude (torch 2.13), but may
    overflow and underflow.
    """
    value = _norm(gradient.detach() if gradient.requires_grad else gradient, 2).item()
    return value if value and isfinite(value) else largest(gradient).item()


def undisturbed() -> bool:
    """Whether nobody counts or records the operators that are called: flops, fakes, graphs."""
    if torch._C._len_torch_dispatch_stack():
        return False
    return not (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing())  # type: ignore[no-untyped-call]


class Fetched:
    """Numbers on their way from a device; asked for too early, they are waited for."""

    __slots__ = ("_arrived", "_numbers")

    def __init__(self, numbers: Sequence[torch.Tensor]) -> None:
        wide = torch.float32 if numbers[0].device.type == "mps" else torch.float64
        stacked = torch.stack([number.to(wide) for number in numbers])
        self._arrived: Any = None
        self._numbers = stacked
        if stacked.is_cuda:  # a plain copy would wait for everything that is queued before it
            host = torch.empty(len(numbers), dtype=torch.float64, pin_memory=True)
            self._numbers = host.copy_(stacked, non_blocking=True)
            self._arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
            self._arrived.record(torch.cuda.current_stream(stacked.device))

    @property
    def arrived(self) -> bool:
        """Whether they are there."""
        if self._arrived is not None:
            return bool(self._arrived.query())
        return self._numbers.is_cpu

    def take(self) -> list[float]:
        """The numbers."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._numbers.tolist()
