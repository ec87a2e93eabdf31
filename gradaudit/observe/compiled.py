"""Whether anything that lives was compiled before the audit began."""

from __future__ import annotations

import gc
import sys
from types import FunctionType

import torch


def compiled_already() -> bool:
    """Whether something lives that ``torch.compile`` has made.

    It keeps the backends it was called with (torch 2.4 to 2.13), so that mostly nobody need look.
    """
    eval_frame = sys.modules.get("torch._dynamo.eval_frame")
    backends = getattr(eval_frame, "cached_backends", {})
    if all(backend is None for backend in backends.values()):
        return False
    if not any(map(_is_compiled, gc.get_objects())):
        return False
    gc.collect()  # what is compiled is full of cycles, and outlives its use
    return any(map(_is_compiled, gc.get_objects()))


def _is_compiled(thing: object) -> bool:
    if type(thing) is FunctionType:
        marks = thing.__dict__
        return "_torchdynamo_orig_callable" in marks and not marks.get("_torchdynamo_disable")
    if not issubclass(type(thing), torch.nn.Module):
        return False
    attributes = vars(thing)
    # what a backend has returned is wrapped too, so as not to be compiled again
    context = type(attributes.get("dynamo_ctx")).__name__
    wrapped = "_orig_mod" in attributes.get("_modules", ()) and context != "DisableContext"
    return wrapped or attributes.get("_compiled_call_impl") is not None
