"""Full backward hooks of modules: which node of the graph runs which functions of the user's."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import torch
from torch.utils.hooks import BackwardHook

from gradaudit.observe.patches import Patches

#: What a node in front of or behind such a module is.
_NODE: Any = torch.nn.modules._functions.BackwardHookFunction._backward_cls


class HookListener(Protocol):
    """Who wants to hear of them."""

    def hooked(self, node: Any, hooks: Sequence[Any]) -> None:
        """A node hands what it has computed to these hooks, and what they return on."""


def watch_module_hooks(patches: Patches, listener: HookListener) -> None:
    """Tell of every node that a module with such hooks puts in front of its inputs or outputs."""
    on_inputs, on_outputs = BackwardHook._set_user_hook, BackwardHook.setup_output_hook

    @functools.wraps(on_inputs)
    def set_user_hook(self: Any, grad_fn: Any) -> None:
        on_inputs(self, grad_fn)
        if self.user_hooks:
            listener.hooked(grad_fn, list(self.user_hooks))

    @functools.wraps(on_outputs)
    def setup_output_hook(self: Any, args: Any) -> Any:
        result = on_outputs(self, args)  # type: ignore[no-untyped-call]
        if self.user_pre_hooks:
            with torch._C.DisableTorchFunction():
                for node in _nodes(result):
                    listener.hooked(node, list(self.user_pre_hooks))
        return result

    patches.replace(BackwardHook, "_set_user_hook", set_user_hook)
    patches.replace(BackwardHook, "setup_output_hook", setup_output_hook)


def _nodes(result: object) -> Iterator[Any]:
    """The one node that all outputs of a module come from, if they are in a graph."""
    outputs = result if isinstance(result, tuple) else (result,)
    made = {output.grad_fn for output in outputs if isinstance(output, torch.Tensor)}
    return (node for node in made if isinstance(node, _NODE))


def takes_one(node: Any) -> bool:
    """Whether it hands on one gradient; of several, some may have been zero before the hooks."""
    return sum(following is not None for following, _ in node.next_functions) == 1
