"""Forked children (a DataLoader's workers, say) are not audited, and pay nothing for it."""

from __future__ import annotations

import functools
import os
import weakref
from typing import Protocol


class Watching(Protocol):
    """Who watches a process."""

    @property
    def on(self) -> bool:
        """Whether it still does."""

    def leave_child_alone(self) -> None:
        """Watch no more: a forked child calls this."""


_watching: weakref.WeakSet[Watching] = weakref.WeakSet()


def stay_out_of_children(watcher: Watching) -> None:
    """Have a watcher leave every child alone, for as long as it lives."""
    _register()
    _watching.add(watcher)


def under_way() -> bool:
    """Whether anybody is watching this process."""
    return any(watcher.on for watcher in _watching)


@functools.cache
def _register() -> None:
    """Be told of forks, once and for all: what is registered for them can never be removed."""
    os.register_at_fork(after_in_child=_leave_child_alone)


def _leave_child_alone() -> None:
    for watcher in list(_watching):
        watcher.leave_child_alone()
