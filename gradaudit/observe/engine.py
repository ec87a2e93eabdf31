"""Every backward passes one door: ``torch.autograd._engine_run_backward`` (torch 2.4 to 2.15).

``Tensor.backward``, ``torch.autograd.backward`` and ``torch.autograd.grad`` all call it, with
``accumulate_grad=True`` where ``.grad`` is to be filled.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any, Protocol

import torch

from gradaudit.observe.patches import Patches, without_this_frame

#: Where ``retain_graph`` stands among the arguments behind the roots, as in torch's own callers.
_RETAIN_GRAPH = 1


class BackwardListener(Protocol):
    """Who wants to know of backwards."""

    def backward_enters(
        self, roots: Sequence[Any], frame: FrameType, *, accumulates: bool, keeps: bool
    ) -> Callable[[Sequence[Any], bool], None] | None:
        """Before the engine runs, which ``keeps`` the graph or does not.

        What is returned is called behind it: (roots, failed).
        """


def watch_engine(patches: Patches, listener: BackwardListener) -> None:
    """Put a listener at the door."""
    original = torch.autograd._engine_run_backward  # type: ignore[attr-defined]

    def _engine_run_backward(t_outputs: Sequence[Any], *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_dynamo_compiling():
            return original(t_outputs, *args, **kwargs)
        frame = sys._getframe(1)
        done = listener.backward_enters(
            t_outputs,
            frame,
            accumulates=bool(kwargs.get("accumulate_grad")),
            keeps=bool(args[_RETAIN_GRAPH]),
        )
        try:
            result = original(t_outputs, *args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            if done is not None:
                done(t_outputs, True)
            raise
        if done is not None:
            done(t_outputs, False)
        return result

    patches.replace(torch.autograd, "_engine_run_backward", _engine_run_backward)
