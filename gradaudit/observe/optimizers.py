"""Optimizers: built, stepped, cleared."""

from __future__ import annotations

import functools
import gc
import sys
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Protocol

import torch
from torch.optim import Optimizer
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils.hooks import RemovableHandle

from gradaudit.model import events as ev
from gradaudit.model.events import Members
from gradaudit.model.sites import Site
from gradaudit.observe.dynamo import hide_step_hooks
from gradaudit.observe.patches import Patches, without_this_frame
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.watch import Watch


@dataclass(slots=True, eq=False)
class Known:
    """One optimizer: its number, where it was built, its members as of the last look."""

    number: int
    type: str
    reference: weakref.ref[Optimizer]
    site: Site | None
    members: Members = field(default_factory=frozenset)
    #: identity and length of the list of each of its groups
    shape: list[tuple[int, int]] | None = None
    #: the identities of its tensors at the last look, and how many leaves had died by then
    seen: tuple[list[list[int]], int] | None = None
    horizon: int = 0


class Optimizers:
    """The optimizers of a run, held by weak references."""

    def __init__(self, watch: Watch, sites: SiteBook) -> None:
        self._watch = watch
        self._sites = sites
        self._by_id: dict[int, Known] = {}
        self.all: list[Known] = []

    def built(self, optimizer: Optimizer, frame: FrameType | None) -> Known:
        """An optimizer is being constructed, its param groups still to come."""
        known = self._by_id.get(id(optimizer))
        if known is not None and known.reference() is optimizer:
            return known
        site = self._sites.here(_outside(optimizer, frame))
        known = Known(
            len(self.all),
            type(optimizer).__name__,
            weakref.ref(optimizer),
            site,
            horizon=self._watch.leaves.next_number,
        )
        self._by_id[id(optimizer)] = known
        self.all.append(known)
        return known

    def find(self, optimizer: Optimizer) -> Known:
        """The optimizer with its members as they are now."""
        known = self._by_id.get(id(optimizer))
        if known is None or known.reference() is not optimizer:
            return self._met(optimizer)
        groups, shape = optimizer.param_groups, known.shape
        if self._watch.probing or shape is None or len(groups) != len(shape):
            self._refresh(known, optimizer)
            return known
        for group, (identity, length) in zip(groups, shape):  # noqa: B905 - a keyword is dear here
            params = group["params"]
            if id(params) != identity or len(params) != length:
                self._refresh(known, optimizer)
                break
        return known

    def members_last(self, optimizer: Optimizer) -> Members | None:
        """Its members as of the last look; None if there was none."""
        known = self._by_id.get(id(optimizer))
        return known.members if known is not None and known.reference() is optimizer else None

    def _met(self, optimizer: Optimizer) -> Known:
        """An optimizer that was built before anybody looked."""
        known = self.built(optimizer, None)
        known.horizon = 0
        self._refresh(known, optimizer)
        with torch._C.DisableTorchFunction():
            remembered = self._watch.leaves.members(
                self._watch.follow(tensor)
                for group in optimizer.param_groups
                for tensor in parameters_of(group)
                if _was_used(optimizer.state.get(tensor, {}))
            )
        self._watch.tell(ev.Remembered(remembered))
        return known

    def untouched(self) -> Iterator[torch.Tensor]:
        """The tensors of optimizers that live and of which nothing was seen."""
        for thing in gc.get_objects():
            if issubclass(type(thing), Optimizer) and id(thing) not in self._by_id:
                for group in getattr(thing, "param_groups", ()):
                    yield from parameters_of(group)

    def refresh_all(self) -> None:
        """Look at the members of every optimizer that lives."""
        for known in self.all:
            optimizer = known.reference()
            if optimizer is not None:
                self._refresh(known, optimizer)

    def _refresh(self, known: Known, optimizer: Optimizer) -> None:
        groups = getattr(optimizer, "param_groups", None)
        if not isinstance(groups, list):
            return  # its constructor has not come so far
        known.shape = [(id(group["params"]), len(group["params"])) for group in groups]
        identities = [list(map(id, group["params"])) for group in groups]
        seen = (identities, self._watch.leaves.thrown_away)
        if seen == known.seen:
            return
        known.seen = seen
        with torch._C.DisableTorchFunction():
            parts = tuple(
                self._watch.leaves.members(
                    self._watch.follow(tensor) for tensor in parameters_of(group)
                )
                for group in groups
            )
        members = self._watch.leaves.members(number for part in parts for number in part)
        if members is not known.members or not known.members:
            known.members = members
            self._watch.optimizer_seen(known.number, known.site, members, parts, known.horizon)


def _was_used(state: dict[str, Any]) -> bool:
    """Whether the state that an optimizer keeps for a tensor comes from a step.

    A few (Adagrad, torch 2.13) make it when they are built, with a count of 0.
    """
    return bool(state) and bool(state.get("step", 1))


def _outside(optimizer: Optimizer, frame: FrameType | None) -> FrameType | None:
    """The frame that called the constructor: beyond every ``__init__`` of the object itself."""
    outer = frame
    while frame is not None:
        if frame.f_code.co_name in {"__init__", "__setstate__"} and (
            next(iter(frame.f_locals.values()), None) is optimizer
        ):
            outer = frame.f_back
        frame = frame.f_back
    return outer


def parameters_of(group: dict[str, Any]) -> list[torch.Tensor]:
    """All tensors in a param group of an optimizer."""
    return [tensor for tensor in group.get("params", ()) if isinstance(tensor, torch.Tensor)]


class OptimizerListener(Protocol):
    """Who wants to know of optimizers."""

    def optimizer_built(self, optimizer: Optimizer, frame: FrameType) -> None:
        """An optimizer is being constructed."""

    def closure_enters(self, optimizer: Optimizer) -> None:
        """A step is about to run that calls a closure first."""

    def step_enters(self, optimizer: Optimizer, frame: FrameType) -> None:
        """A step is about to run that does not."""

    def step_leaves(self, optimizer: Optimizer, frame: FrameType, *, closure: bool) -> None:
        """A step has run; told while somebody attends."""

    def zero_grad_enters(
        self, owner: Optimizer | torch.nn.Module, frame: FrameType, *, to_none: bool
    ) -> Callable[[], None] | None:
        """``zero_grad`` is about to run; what is returned, if anything, is called behind it."""


class Steps:
    """The hooks around every step; the one behind it only while ``attended``."""

    def __init__(self, listener: OptimizerListener) -> None:
        self._listener = listener
        self.attended = False
        #: whether steps ran in a region that torch.compile had compiled: nobody heard of them
        self.compiled = False
        self._behind: RemovableHandle | None = None
        self._before = register_optimizer_step_pre_hook(self._enters)

    def attend(self, needed: bool) -> None:
        """Hear of the ends of steps from now on, or no more; to be called before one."""
        self.attended = needed
        if self._behind is not None:
            self._behind.remove()
            self._behind = None
        if needed:
            self._behind = register_optimizer_step_post_hook(self._leaves)

    def hide_from_dynamo(self, patches: Patches) -> None:
        """Have torch.compile find no hook in the steps that it compiles."""
        hide_step_hooks(patches, self, self._compiles)

    def _compiles(self) -> None:
        self.compiled = True

    def remove(self) -> None:
        """Take both hooks away."""
        self._before.remove()
        self.attend(False)

    def _enters(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if torch.compiler.is_dynamo_compiling():
            self.compiled = True  # Dynamo says so again whenever the region has run
            return
        given = args[1] if len(args) > 1 else kwargs.get("closure")
        if callable(given):
            self._listener.closure_enters(optimizer)
        else:
            self._listener.step_enters(optimizer, sys._getframe(1))

    def _leaves(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        if torch.compiler.is_dynamo_compiling():
            return
        given = args[1] if len(args) > 1 else kwargs.get("closure")
        self._listener.step_leaves(optimizer, sys._getframe(1), closure=callable(given))


def watch_optimizers(patches: Patches, listener: OptimizerListener) -> Steps:
    """Put listeners at construction, step and clearing; the hooks are to be removed later."""
    _watch_construction(patches, listener)
    patches.replace(Optimizer, "zero_grad", _zero_grad(Optimizer.zero_grad, listener))
    patches.replace(torch.nn.Module, "zero_grad", _zero_grad(torch.nn.Module.zero_grad, listener))
    return Steps(listener)


def _watch_construction(patches: Patches, listener: OptimizerListener) -> None:
    original = Optimizer._patch_step_function

    @functools.wraps(original)
    def _patch_step_function(self: Optimizer) -> None:
        if not torch.compiler.is_dynamo_compiling():
            listener.optimizer_built(self, sys._getframe(1))
        original(self)

    patches.replace(Optimizer, "_patch_step_function", _patch_step_function)


def _zero_grad(original: Callable[..., Any], listener: OptimizerListener) -> Callable[..., Any]:
    @functools.wraps(original)
    def zero_grad(self: Any, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_dynamo_compiling():
            return original(self, *args, **kwargs)
        to_none = bool(args[0] if args else kwargs.get("set_to_none", True))
        done = listener.zero_grad_enters(self, sys._getframe(1), to_none=to_none)
        try:
            result = original(self, *args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        finally:
            if done is not None:
                done()
        return result

    return zero_grad
