"""No frame of ours in anything that is shown.

Frames of this package stand beneath the script's first line, and, where an observer wraps a
function of torch, between the user's lines and torch's.  While a function mode of ours is on, torch
calls its own functions by a detour.  Plain Python shows none of that.
"""

# os.path, not pathlib: file names stay as the interpreter has them.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import os
from collections.abc import Iterator
from types import CodeType, TracebackType

from gradaudit.model.sites import TRAMPOLINE

_PACKAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_OVERRIDES = os.path.join("torch", "overrides.py")


def is_ours(code: CodeType) -> bool:
    """Whether code belongs to gradaudit itself, though it may claim to be the user's line."""
    return code.co_filename.startswith(_PACKAGE) or code.co_name == TRAMPOLINE


def remove_our_frames(error: BaseException) -> None:
    """Unlink our frames from an exception and from every exception it is displayed with."""
    todo, seen = [error], set()
    while todo:
        current = todo.pop()
        if id(current) not in seen:
            seen.add(id(current))
            current.__traceback__ = _unlinked(current.__traceback__)
            todo.extend(_neighbours(current))


def entries(traceback: TracebackType | None) -> Iterator[TracebackType]:
    """Walk the links of a traceback, from the outermost frame to the innermost."""
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _unlinked(traceback: TracebackType | None) -> TracebackType | None:
    kept = _without_detours([link for link in entries(traceback) if not is_ours(_code(link))])
    for link, following in zip(kept, [*kept[1:], None], strict=False):
        if link.tb_next is not following:
            link.tb_next = following
    return kept[0] if kept else None


def _without_detours(links: list[TracebackType]) -> list[TracebackType]:
    """Leave out a function of torch that does nothing but call itself through a function mode."""
    kept: list[TracebackType] = []
    for link in links:
        if len(kept) > 1 and _code(kept[-2]) is _code(link) and _asks_modes(_code(kept[-1])):
            del kept[-2:]
        kept.append(link)
    return kept


def _asks_modes(code: CodeType) -> bool:
    return code.co_name == "handle_torch_function" and code.co_filename.endswith(_OVERRIDES)


def _code(link: TracebackType) -> CodeType:
    return link.tb_frame.f_code


def _neighbours(error: BaseException) -> Iterator[BaseException]:
    members = getattr(error, "exceptions", ())  # an ExceptionGroup's, from 3.11 on
    candidates = (error.__cause__, error.__context__, *(members if type(members) is tuple else ()))
    return (other for other in candidates if isinstance(other, BaseException))
