"""Code of ours that runs inside or between the regions that ``torch.compile`` compiles.

Inside, Dynamo traces through whatever torch calls: each entry from torch asks
``torch.compiler.is_dynamo_compiling()`` first, which Dynamo takes for a constant, so that nothing
of ours is left in the graph.  Between two regions it would compile every frame that runs (torch
2.13), ours as well, unless the code is marked.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from torch.optim import Optimizer

from gradaudit.observe.patches import Patches

_OURS = __name__.partition(".")[0] + "."

#: Where properties, class methods and wrappers keep the function they are made of.
_PARTS = ("fget", "__func__", "__wrapped__")


#: Whose functions stand in for torch's own and call them: what they call may be compiled.
_WRAPPERS = frozenset(
    f"{__package__}.{name}"
    for name in ("amp", "engine", "fused", "modules", "optimizers", "unseen")
)


def leave_our_code_alone() -> None:
    """Have Dynamo compile no frame of ours; to be called when it has been imported anyway."""
    from torch._dynamo.eval_frame import skip_code

    with_callees = _skip_with_callees()
    for name, module in list(sys.modules.items()):
        if name.startswith(_OURS):
            skip = skip_code if name in _WRAPPERS else with_callees
            for code in _codes(module):
                skip(code)


def hide_step_hooks(patches: Patches, owner: object, compiled: Callable[[], None]) -> None:
    """Have Dynamo see no hook around steps that is a method of ``owner``.

    It gives up on a step that calls a hook (torch 2.15 with Python 3.13 or newer: one instruction
    of that loop seems to it to lie outside the ``with`` around it).  ``compiled`` is called when
    it compiles a step.
    """
    from torch._dynamo.comptime import comptime

    def compiling(_: object) -> None:
        compiled()

    def chain(*hooks: Iterable[Any]) -> Iterable[Any]:
        # Whoever asks `is_dynamo_compiling()` changes which frames Dynamo skips (torch 2.15).
        eager: list[bool] = []
        comptime(compiling, lambda: eager.append(True))
        if eager:
            return itertools.chain(*hooks)
        every = itertools.chain(*hooks)
        return [hook for hook in every if getattr(hook, "__self__", None) is not owner]

    patches.replace(sys.modules[Optimizer.__module__], "chain", chain)


def _skip_with_callees() -> Callable[[CodeType], None]:
    """Marks code so that nothing is compiled while it runs; in older torch only the code itself."""
    from torch._C._dynamo import eval_frame

    if not hasattr(eval_frame, "set_code_exec_strategy"):
        return eval_frame.skip_code  # type: ignore[attr-defined, no-any-return]  # 2.4
    skip = eval_frame._FrameAction.SKIP
    strategy = eval_frame._FrameExecStrategy(skip, skip)
    return lambda code: eval_frame.set_code_exec_strategy(code, strategy)


def _codes(owner: ModuleType | type) -> Iterator[CodeType]:
    """All code that is written in a module."""
    for value in list(vars(owner).values()):
        if isinstance(value, type) and value.__module__ == _module(owner):
            yield from _codes(value)
        for function in (value, *(getattr(value, part, None) for part in _PARTS)):
            if isinstance(function, FunctionType) and function.__module__ == _module(owner):
                yield from _nested(function.__code__)


def _module(owner: ModuleType | type) -> str:
    return owner.__name__ if isinstance(owner, ModuleType) else owner.__module__


def _nested(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _nested(constant)
