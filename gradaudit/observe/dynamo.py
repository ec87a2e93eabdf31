"""Code of ours that runs inside or between the regions that ``torch.compile`` compiles.

Inside, Dynamo traces through whatever torch calls: each entry from torch asks
``torch.compiler.is_dynamo_compiling()`` first, which Dynamo takes for a constant, so that nothing
of ours is left in the graph.  Between two regions it would compile every frame that runs (torch
2.13), ours as well, unless the code is marked.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import CodeType, FunctionType, ModuleType

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
