"""What makes tensors without any function mode seeing it (torch 2.13), and is therefore replaced.

``autograd.Function.apply``, ``nn.Parameter(…)``, ``Variable(…)``, what TorchScript runs, and the
wrapping and unwrapping of tensors by ``torch.func``.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol

import torch
from torch._functorch import eager_transforms, vmap

from gradaudit.observe.operations import Operation
from gradaudit.observe.patches import Patches, without_this_frame

_PARAMETER = Operation("nn.Parameter", "detach")
_VARIABLE = Operation("Variable", "detach")
_WRAPPED = Operation("torch.func", "view")


class UnseenListener(Protocol):
    """Who wants to hear of them."""

    @property
    def following(self) -> bool:
        """Whether what happens in this thread right now is part of the dataflow."""

    def applied(self, name: str, args: tuple[Any, ...], result: object, frame: FrameType) -> None:
        """A custom function was applied, or one that TorchScript runs."""

    def made(
        self, operation: Operation, source: torch.Tensor, result: torch.Tensor, frame: FrameType
    ) -> None:
        """A tensor was made from another."""


def watch_unseen(patches: Patches, listener: UnseenListener) -> None:
    """Put listeners in their places."""
    patches.replace(torch.autograd.Function, "apply", classmethod(_apply(listener)))
    patches.replace(torch.nn.Parameter, "__new__", staticmethod(_new_parameter(listener)))
    patches.add(type(torch.autograd.Variable), "__call__", _new_variable(listener))
    for scripted in (torch._C.ScriptFunction, torch._C.ScriptMethod):
        patches.replace(scripted, "__call__", _script(scripted.__call__, listener))
    for module, name in (
        (vmap, "_add_batch_dim"),
        (vmap, "_remove_batch_dim"),
        (eager_transforms, "_wrap_for_grad"),
        (eager_transforms, "_unwrap_for_grad"),
    ):
        if name in vars(module):
            patches.replace(module, name, _wrapping(vars(module)[name], listener))


def _apply(listener: UnseenListener) -> Callable[..., Any]:
    # a class method of Python's, from torch 2.15 on one of C's: both bind to a class like this
    bind = vars(torch.autograd.Function)["apply"].__get__

    def apply(cls: type, *args: Any, **kwargs: Any) -> Any:
        try:
            result = bind(None, cls)(*args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        listener.applied(f"{cls.__name__}.apply", args, result, sys._getframe(1))
        return result

    return apply


def _script(original: Callable[..., Any], listener: UnseenListener) -> Callable[..., Any]:
    @functools.wraps(original)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        listener.applied(self.name, (*args, *kwargs.values()), result, sys._getframe(1))
        return result

    return call


def _new_parameter(listener: UnseenListener) -> Callable[..., Any]:
    original = torch.nn.Parameter.__new__

    @functools.wraps(original)
    def new(cls: type, *args: Any, **kwargs: Any) -> Any:
        try:
            parameter: torch.Tensor = original(cls, *args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        data = args[0] if args else kwargs.get("data")
        if isinstance(data, torch.Tensor):
            listener.made(_PARAMETER, data, parameter, sys._getframe(1))
        return parameter

    return new


def _new_variable(listener: UnseenListener) -> Callable[..., Any]:
    def call(cls: Any, *args: Any, **kwargs: Any) -> Any:
        variable: torch.Tensor = type.__call__(cls, *args, **kwargs)
        data = args[0] if args else kwargs.get("data")
        if isinstance(data, torch.Tensor) and data is not variable:
            listener.made(_VARIABLE, data, variable, sys._getframe(1))
        return variable

    return call


def _wrapping(original: Callable[..., Any], listener: UnseenListener) -> Callable[..., Any]:
    @functools.wraps(original)
    def wrap(tensor: Any, *args: Any) -> Any:
        result = original(tensor, *args)
        if isinstance(result, torch.Tensor) and result is not tensor:
            listener.made(_WRAPPED, tensor, result, sys._getframe(1))
        return result

    return wrap
