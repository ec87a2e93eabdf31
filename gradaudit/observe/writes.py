"""What is written into tensors in place: values, gradients, updates by hand."""

from __future__ import annotations

import weakref
from types import FrameType
from typing import Any

import torch

from gradaudit.observe.arguments import tensors_in
from gradaudit.observe.flow import Given, Node, comes_from_gradient, made_only_of
from gradaudit.observe.leaves import Leaf, Leaves, is_leaf, strong
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.operations import Operation
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.watchers import GradientWatcher
from gradaudit.observe.written import (
    FILLING,
    by_an_optimizer,
    can_zero,
    clips,
    is_zero,
    only_measured,
)


class Writes:
    """Follows what goes where, and tells the watcher of what was done to gradients."""

    def __init__(
        self, nodes: Nodes, sites: SiteBook, leaves: Leaves, watcher: GradientWatcher
    ) -> None:
        self._nodes = nodes
        self._sites = sites
        self._leaves = leaves
        self._watcher = watcher

    def in_place(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> None:
        """One tensor was written into by an operation."""
        target = args[0] if args else next(iter(kwargs.values()), None)
        if isinstance(target, torch.Tensor):
            handed = (*args[1:], *kwargs.values())
            self.write(operation, target, [target, *tensors_in(handed)], frame, handed)

    def foreach(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> None:
        """A list of tensors was, each from what has its place in the other lists."""
        targets = list(args[0]) if args else []
        handed = (*args[1:], *kwargs.values())
        lists = [list(each) for each in handed if isinstance(each, (list, tuple))]
        shared = [each for each in handed if not isinstance(each, (list, tuple))]
        for index, target in enumerate(targets):
            own = (*(each[index] for each in lists if index < len(each)), *shared)
            self.write(operation, target, [target, *tensors_in(own)], frame, own)

    def write(
        self,
        operation: Operation,
        target: torch.Tensor,
        inputs: list[torch.Tensor],
        frame: FrameType,
        handed: tuple[Any, ...] = (),
    ) -> None:
        """``target`` was changed in place with what was computed from ``inputs``.

        ``handed`` is all that the operation was given beside it, numbers among it.
        """
        node = self._nodes.node(target)
        leaf = self._leaves.find(target)
        others = [self._nodes.source(tensor) for tensor in inputs[1:] if tensor is not target]
        if leaf is not None and is_leaf(target):
            self.update(target, others, frame)
            self.given(operation, target, others, frame)
        elif node is not None and node.gradient_of is not None:
            self._gradient_written(operation, node.gradient_of, target, others, frame, handed)
        elif node is not None and node.shares is not None:
            self._update_leaf(self._leaves[node.shares], others, frame)
        else:
            numbers = (
                self._nodes.exports.among(self._nodes.raw(frame), handed)
                if self._nodes.exports
                else ()
            )
            # what it was before counts, not what the operation has made of it: h.detach_()
            before = self._nodes.source(target) if node is None else node
            parents = (before, *others, *numbers)
            base = None if node is None or node.base is None else strong(node.base)
            written = self._nodes.record(operation, target, parents, self._nodes.raw(frame), frame)
            if base is not None:
                self._write_through(operation, base, written, others, frame)

    def given(
        self, operation: Operation, target: torch.Tensor, others: list[Node], frame: FrameType
    ) -> None:
        """A leaf was given values that were computed from others; the graph knows nothing of it.

        Values of its own are none: a module that is moved or cast gives each parameter such.
        Neither is what it is given now and then, at the synchronisation of two networks: only what
        is written anew for every backward takes part in its loss.
        """
        leaf = self._leaves.find(target)
        own = None if leaf is None else leaf.number
        given = tuple(
            node
            for node in others
            if node.relevant and node.gradient_of is None and not made_only_of(node, own)
        )
        if not given:
            return
        before = self._nodes.source(target).given
        node = self._nodes.record(operation, target, given, self._nodes.raw(frame), frame)
        node.given = (
            Given(before.writes + 1, before.since) if before else Given(1, self._nodes.backwards)
        )
        node.cut = "written"

    def _write_through(
        self,
        operation: Operation,
        base: torch.Tensor,
        written: Node,
        others: list[Node],
        frame: FrameType,
    ) -> None:
        """What was written into a view or alias is now in its base."""
        written.base = weakref.ref(base)
        node = self._nodes.record(
            operation, base, (self._nodes.source(base), *others), self._nodes.raw(frame), frame
        )
        if not node.connected and node.switch is None:
            node.cut = "detach"

    def _gradient_written(
        self,
        operation: Operation,
        number: int,
        gradient: torch.Tensor,
        others: list[Node],
        frame: FrameType,
        handed: tuple[Any, ...],
    ) -> None:
        leaf = self._leaves[number]
        site = self._sites.here(frame)
        if can_zero(operation, handed) and is_zero(gradient):
            self._watcher.cleared_by_hand(leaf, site, to_none=False)
        elif operation.name != "detach_" and not only_measured(frame):
            clipped = clips(operation, others, frame)
            self._watcher.rescaled(leaf, site, clipped=clipped, filling=operation.name in FILLING)

    def update(self, target: torch.Tensor, others: list[Node], frame: FrameType) -> None:
        """A tensor was given values; tell if that is an update by hand."""
        leaf = self._leaves.find(target)
        if leaf is not None:
            self._update_leaf(leaf, others, frame)

    def _update_leaf(self, leaf: Leaf, others: list[Node], frame: FrameType) -> None:
        if comes_from_gradient(others, leaf.number) and not by_an_optimizer(frame):
            site = self._sites.here(frame)
            if site is not None:
                self._watcher.updated_by_hand(leaf, site)
