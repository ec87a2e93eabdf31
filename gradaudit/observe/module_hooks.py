"""Full backward hooks of modules: which node of the graph runs which function of the user's."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from types import CodeType
from typing import Any, Protocol

from torch.utils.hooks import BackwardHook

from gradaudit.observe.patches import Patches


class HookListener(Protocol):
    """Who wants to hear of them."""

    def hooked(self, node: Any, hooks: Sequence[Any]) -> None:
        """A node hands what it has computed to these hooks, and what they return on."""


def watch_module_hooks(patches: Patches, listener: HookListener) -> None:
    """Tell of every node that a module with full backward hooks puts in front of its inputs."""
    original = BackwardHook._set_user_hook

    @functools.wraps(original)
    def set_user_hook(self: Any, grad_fn: Any) -> None:
        original(self, grad_fn)
        listener.hooked(grad_fn, list(self.user_hooks))

    patches.replace(BackwardHook, "_set_user_hook", set_user_hook)


def takes_one(node: Any) -> bool:
    """Whether it hands on one gradient; of several, some may have been zero before the hooks."""
    return sum(following is not None for following, _ in node.next_functions) == 1


def code_of(hook: Callable[..., Any]) -> CodeType | None:
    """The code of a hook, whatever it is wrapped in; None where it is not Python's."""
    while isinstance(hook, functools.partial):
        hook = hook.func
    code = getattr(hook, "__code__", None) or getattr(type(hook).__call__, "__code__", None)
    return code if isinstance(code, CodeType) else None
