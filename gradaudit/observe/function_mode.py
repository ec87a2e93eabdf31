"""The function mode of the probe: every torch call of the audited thread passes here."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from time import perf_counter
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)
from typing import Any

import torch
from torch.overrides import (
    TorchFunctionMode,
    _get_current_function_mode_stack,
    _pop_mode,
    _push_mode,
    handle_torch_function,
)

from gradaudit.model.sites import TRAMPOLINE
from gradaudit.observe.dataflow import Dataflow
from gradaudit.observe.headroom import Headroom
from gradaudit.observe.sites import TORCH
from gradaudit.observe.tracer import PAUSES_CHEAPLY, LoopTracer

_C_FUNCTIONS = (
    BuiltinFunctionType,
    MethodDescriptorType,
    MethodWrapperType,
    WrapperDescriptorType,
)

#: Where torch's own optimizers lie.
_OPTIMIZERS = os.path.join(TORCH, "optim", "")

_call = lambda function, args, kwargs: function(*args, **kwargs)  # noqa: E731 - on one line, see below
_Trampoline = Callable[[Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]


class CallMode(TorchFunctionMode):
    """Calls the function, then lets the dataflow look at what it did.

    C++ attributes a warning to the Python frame that called it, which under a mode would be ours
    (torch 2.13).  So each call goes through a function that claims to be the user's line: same
    file, same line, same globals, and hence the same ``__warningregistry__``.
    """

    def __init__(
        self,
        dataflow: Dataflow,
        fault: Callable[[str, Exception], None],
        followed: Callable[[FrameType], None],
        tracer: LoopTracer,
    ) -> None:
        super().__init__()
        self._followed = followed
        self._tracer = tracer
        self.dataflow = dataflow
        self.listening = True
        #: whether an optimizer calls closures: what it does between them is its own affair
        self.stepping = False
        self.seconds = 0.0
        self._fault = fault
        self._room = Headroom()
        self._thread = threading.get_ident()
        self._replaced: dict[CodeType, FunctionType] = {}
        self._trampolines: dict[tuple[int, int], tuple[_Trampoline, CodeType]] = {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Any = (),
        kwargs: Any = None,
    ) -> Any:
        """See :class:`torch.overrides.TorchFunctionMode`."""
        frame = sys._getframe(1)
        kwargs = kwargs or {}
        looking = self.listening and not (
            self.stepping and frame.f_code.co_filename.startswith(_OPTIMIZERS)
        )
        began = perf_counter()
        untraced = False
        with self._room:
            try:
                untraced = PAUSES_CHEAPLY and self._tracer.pause()
                if frame.f_code is handle_torch_function.__code__:
                    # a function written in Python hands over from inside itself
                    func, frame = self._itself(func, frame), _caller(frame)
                call = self._trampoline(frame)
            except Exception as error:
                self._broke(error)
                call = _call
            held = looking and self._before(func, args)
        self.seconds += perf_counter() - began
        try:
            try:
                result = call(func, args, kwargs)
            except BaseException as error:
                trace = error.__traceback__
                if trace is not None and trace.tb_next is not None:
                    error.__traceback__ = trace.tb_next.tb_next  # this frame and the trampoline's
                raise
            if looking:
                began = perf_counter()
                with self._room:
                    self._after(func, args, kwargs, result, frame, held=held)
                self.seconds += perf_counter() - began
        finally:
            if untraced:
                try:
                    self._tracer.go_on()
                except Exception as error:
                    self._broke(error)
        return result

    def _before(self, func: Any, args: Any) -> bool:
        try:
            return self.dataflow.before(func, args)
        except Exception as error:
            self._broke(error)
            return False

    def _after(
        self,
        func: Any,
        args: Any,
        kwargs: Any,
        result: Any,
        frame: FrameType,
        *,
        held: bool,
    ) -> None:
        try:
            with torch._C.DisableTorchFunctionSubclass():
                self.dataflow.after(func, args, kwargs, result, frame, held=held)
            self._followed(frame)
        except Exception as error:
            self._broke(error)

    def _broke(self, error: Exception) -> None:
        self.listening = False
        self._fault("the dataflow", error)

    def _itself(self, func: Any, frame: FrameType) -> Any:
        """The function that hands over.

        It looks itself up by its name, and there the script may have put a wrapper of its own,
        which has called it and is not to be called by it.
        """
        function = frame.f_back
        if function is None or isinstance(func, _C_FUNCTIONS) or function.f_code.co_freevars:
            return func
        code = getattr(func, "__code__", None)
        if code is not None and code.co_filename.startswith(TORCH):
            return func
        known = self._replaced.get(function.f_code)
        if known is None:
            known = FunctionType(function.f_code, function.f_globals)
            self._replaced[function.f_code] = known
        return known

    def _trampoline(self, frame: FrameType) -> _Trampoline:
        code, line = frame.f_code, frame.f_lineno
        key = (id(code), line)
        known = self._trampolines.get(key)
        if known is None or known[1] is not code:
            disguised = _call.__code__.replace(
                co_filename=code.co_filename, co_firstlineno=line, co_name=TRAMPOLINE
            )
            known = self._trampolines[key] = (FunctionType(disguised, frame.f_globals), code)
        return known[0]

    # -- the stack of modes --------------------------------------------------------------------

    def enter(self) -> None:
        """Put the mode below every other, so that the others' exits still find themselves."""
        self._restack([self, *(mode for mode in self._stack() if mode is not self)])

    def leave(self) -> None:
        """Take the mode out of the stack, wherever in it it is."""
        self._restack([mode for mode in self._stack() if mode is not self])

    @property
    def entered(self) -> bool:
        """Whether the mode is on the stack of this thread."""
        return any(mode is self for mode in self._stack())

    @property
    def own_thread(self) -> bool:
        """Whether this is the thread the mode belongs to: the stack is the thread's own."""
        return threading.get_ident() == self._thread

    @staticmethod
    def _stack() -> list[Any]:
        stack: list[Any] = _get_current_function_mode_stack()  # type: ignore[no-untyped-call]
        return list(stack)

    def _restack(self, modes: list[Any]) -> None:
        for _ in self._stack():
            _pop_mode()  # type: ignore[no-untyped-call]
        for mode in modes:
            _push_mode(mode)  # type: ignore[no-untyped-call]


def _caller(frame: FrameType) -> FrameType:
    function = frame.f_back
    caller = None if function is None else function.f_back
    return caller or function or frame
