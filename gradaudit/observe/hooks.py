"""Functions of the user's that gradients go through on their way, whatever they were hooked to.

A hook of a tensor changes what the node that made the tensor is given, or what a leaf is; a full
backward hook of a module changes what a node in front of or behind the module has computed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import CodeType
from typing import Any

import torch

from gradaudit.observe.sites import RawSite, UserCode

#: How many nodes with hooks are remembered.
_NODES = 100_000


@dataclass(frozen=True, slots=True)
class Hook:
    """What a hook is called, and where it stands if that is in the user's own code.

    Several hooks of one node are one: nobody knows which of them did it.
    """

    name: str
    place: RawSite | None


class Hooks:
    """The hooks of the graph by the numbers of its nodes, and those of leaves."""

    def __init__(self, user: UserCode) -> None:
        self._user = user
        self._ahead: dict[int, list[Hook]] = {}
        self._behind: dict[int, list[Hook]] = {}

    def note_ahead(self, node: Any, function: Callable[..., Any]) -> None:
        """What a node is given goes through a function first: a hook of the tensor it made."""
        _note(self._ahead, node, [self._hook(function)])

    def note_behind(self, node: Any, functions: Sequence[Callable[..., Any]]) -> None:
        """What a node has computed goes through functions: hooks of a module."""
        _note(self._behind, node, [self._hook(function) for function in functions])

    def ahead(self, node: Any) -> Hook | None:
        """What changes that which a node is given."""
        return _one(self._ahead.get(node._sequence_nr(), ())) if self._ahead else None

    def behind(self, node: Any) -> Hook | None:
        """What changes that which a node has computed."""
        return _one(self._behind.get(node._sequence_nr(), ())) if self._behind else None

    def of_leaf(self, leaf: torch.Tensor) -> Hook | None:
        """What of the user's own changes the gradient of a leaf, before it is in it or behind."""
        hooks = (leaf._backward_hooks, leaf._post_accumulate_grad_hooks)
        known = [self._hook(function) for each in hooks if each for function in each.values()]
        return _one([hook for hook in known if hook.place is not None])

    def forget(self) -> None:
        """The probe is over."""
        self._ahead.clear()
        self._behind.clear()

    def _hook(self, function: Callable[..., Any]) -> Hook:
        code = code_of(function)
        if code is None:
            return Hook(type(function).__name__, None)
        return Hook(code.co_name, (code, -1) if self._user.owns(code) else None)


def _note(noted: dict[int, list[Hook]], node: Any, hooks: list[Hook]) -> None:
    if len(noted) >= _NODES:
        noted.clear()
    noted.setdefault(node._sequence_nr(), []).extend(hooks)


def _one(hooks: Sequence[Hook]) -> Hook | None:
    if len(hooks) <= 1:
        return hooks[0] if hooks else None
    return Hook(" or ".join(hook.name for hook in hooks), None)


def code_of(hook: Callable[..., Any]) -> CodeType | None:
    """The code of a hook, whatever it is wrapped in; None where it is not Python's."""
    function: Any = hook
    while (inner := _wrapped(function)) is not None:
        function = inner
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None


def _wrapped(function: Any) -> Any:
    """What a function only hands over to: by ``partial``, a decorator, or torch for several."""
    if isinstance(function, functools.partial):
        return function.func
    return getattr(function, "__wrapped__", None) or _of_several(function)


def _of_several(function: Any) -> Any:
    """The function that ``torch.autograd.graph.register_multi_grad_hook`` was given."""
    closure = getattr(function, "__closure__", None)
    if closure is None or function.__module__ != torch.autograd.graph.__name__:
        return None
    free = dict(zip(function.__code__.co_freevars, closure, strict=True))
    return free["fn"].cell_contents if "fn" in free else None
