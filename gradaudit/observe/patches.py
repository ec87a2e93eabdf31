"""Attributes of torch that are replaced while a run is audited, and given back afterwards."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Protocol

_INHERITED = object()


class Hook(Protocol):
    """What is to be taken away again, as hooks of torch are."""

    def remove(self) -> None:
        """Take it away."""


class Patches:
    """Replaced attributes; each is put back only where ours is still in place."""

    def __init__(self) -> None:
        self._done: list[tuple[object, str, Any, Any]] = []

    def replace(self, owner: object, name: str, new: Any) -> None:
        """Put ``new`` in the place of ``owner.name``."""
        self._done.append((owner, name, vars(owner)[name], new))
        setattr(owner, name, new)

    def add(self, owner: object, name: str, new: Any) -> None:
        """Give ``owner`` an attribute that it only inherits."""
        self._done.append((owner, name, _INHERITED, new))
        setattr(owner, name, new)

    def undo(self) -> None:
        """Give everything back, the last replaced first."""
        for owner, name, old, new in reversed(self._done):
            if vars(owner).get(name) is not new:
                continue  # somebody else's wrapper around ours stays
            if old is _INHERITED:
                delattr(owner, name)
            else:
                setattr(owner, name, old)
        self._done.clear()


def without_this_frame(error: BaseException) -> None:
    """Take the frame that caught ``error`` out of its traceback, before a bare ``raise``.

    From Python 3.11 on a bare ``raise`` does not add the frame again; in 3.10 it does, and only
    a traceback that launch prints is free of it.
    """
    if error.__traceback__ is not None:
        error.__traceback__ = error.__traceback__.tb_next


def between(
    original: Callable[..., Any], before: Callable[[], None], behind: Callable[[], None]
) -> Callable[..., Any]:
    """Wrap a function: ``before`` is called before it runs, ``behind`` when it is over."""

    @functools.wraps(original)
    def call(*args: Any, **kwargs: Any) -> Any:
        before()
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        finally:
            behind()

    return call
