"""Folds torch calls into the dataflow of the probe, and tells what they did to gradients."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any, Protocol

import torch

from gradaudit.model.sites import Site
from gradaudit.observe.arguments import inputs_of, tensors_in
from gradaudit.observe.entries import Entries
from gradaudit.observe.exports import Exports
from gradaudit.observe.flow import (
    Ancestry,
    Given,
    Node,
    ancestry,
    comes_from_gradient,
    copied_from,
    leaves_of,
    made_only_of,
)
from gradaudit.observe.grad_mode import checkpointing, enclosing_switch, switch_site
from gradaudit.observe.leaves import Leaf, Leaves, connected, is_leaf, is_parameter, strong
from gradaudit.observe.lines import Lines
from gradaudit.observe.operations import Operation, classify
from gradaudit.observe.sites import RawSite, SiteBook
from gradaudit.observe.written import ZEROING, by_an_optimizer, clips, is_zero, only_measured

#: How many scalars that might be losses are remembered while none was backpropagated.
_LOSSES = 32


class GradientWatcher(Protocol):
    """Who wants to hear what the user's code did to gradients by hand."""

    def cleared_by_hand(self, leaf: Leaf, site: Site | None, *, to_none: bool) -> None:
        """A gradient became None or zeros."""

    def assigned_by_hand(self, leaf: Leaf, site: Site | None) -> None:
        """A gradient was put in."""

    def rescaled(self, leaf: Leaf, site: Site | None, *, clipped: bool) -> None:
        """A gradient was changed in place."""

    def updated_by_hand(self, leaf: Leaf, site: Site) -> None:
        """A leaf was updated with its own gradient."""

    def requires_grad_set(self, leaf: Leaf, site: Site, *, value: bool) -> None:
        """A leaf was frozen or thawed."""

    def gradient_read(self, tensor: torch.Tensor, frame: FrameType, *, present: bool) -> None:
        """``.grad`` was read."""


class Dataflow:
    """The values that are alive, each with its node.

    Tensors are found by identity; an entry goes when its tensor does, so nothing is kept alive.
    """

    def __init__(self, sites: SiteBook, leaves: Leaves, watcher: GradientWatcher) -> None:
        self._sites = sites
        self._leaves = leaves
        self._watcher = watcher
        self._nodes: dict[int, tuple[weakref.ref[torch.Tensor], Node]] = {}
        self._operations: dict[Callable[..., Any], Operation] = {}
        self._switch: Site | None = None
        self._losses: deque[Node] = deque(maxlen=_LOSSES)
        self._exports = Exports()
        self._backwards = 0
        self.entered = Entries()
        self.lines = Lines()
        self.calls = 0

    # -- nodes -------------------------------------------------------------------------------

    def node(self, tensor: torch.Tensor) -> Node | None:
        """The node of a tensor, if its making was seen."""
        entry = self._nodes.get(id(tensor))
        return None if entry is None else entry[1]

    def attach(self, tensor: torch.Tensor, node: Node) -> None:
        """Let ``node`` describe ``tensor`` from now on."""
        key = id(tensor)
        known = self._nodes.get(key)
        if known is not None:
            self._nodes[key] = (known[0], node)
            return
        nodes = self._nodes
        self._nodes[key] = (weakref.ref(tensor, lambda _: nodes.pop(key, None)), node)

    def forget(self) -> None:
        """Drop the whole dataflow: the probe is over."""
        self._nodes.clear()
        self._exports.clear()
        self._losses.clear()
        self.lines.forget()

    def source(self, tensor: torch.Tensor) -> Node:
        """The node of a tensor that goes into something, made here if its making went unseen."""
        node = self.node(tensor)
        if node is None:
            node = self._unseen(tensor)
            self.attach(tensor, node)
        elif node.connected is not connected(tensor):
            self._refresh(node, tensor)
        return node

    def _unseen(self, tensor: torch.Tensor) -> Node:
        node = Node("", None, (), connected=connected(tensor))
        trainable = node.connected or is_parameter(tensor)
        if trainable and is_leaf(tensor):
            node.leaf = self._leaves.learn(tensor).number
            node.relevant = True
        elif node.connected:
            node.relevant = True  # made by an operation that no function mode sees
        elif self._exports:  # torch.from_numpy is such an operation (torch 2.13)
            node.parents = self._exports.behind(tensor)
            node.relevant = bool(node.parents)
        return node

    def _refresh(self, node: Node, tensor: torch.Tensor) -> None:
        """``requires_grad`` is not what it was when the node was made."""
        node.connected = connected(tensor)
        if node.connected and is_leaf(tensor) and node.leaf is None:
            leaf = self._leaves.learn(tensor, self._resolve(node.site))
            node.leaf, node.relevant = leaf.number, True

    # -- calls -------------------------------------------------------------------------------

    def before(self, function: Callable[..., Any], args: tuple[Any, ...]) -> bool:
        """Called ahead of a torch function: whether ``.grad`` of its first argument is held."""
        operation = self._classify(function)
        if operation.kind in {"set", "delete"} and operation.name == "grad":
            return args[0].grad is not None
        return False

    def after(
        self,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
        frame: FrameType,
        *,
        held: bool,
    ) -> None:
        """Called behind a torch function, with its result and the frame that called it."""
        self.calls += 1
        operation = self._classify(function)
        kind = operation.kind
        if kind == "quiet":
            return
        if kind == "show":
            self.source(args[0]).shown = True
            return
        if kind == "get":
            self._got(operation, args[0], result, frame)
        elif kind in {"set", "delete"}:
            self._set(operation, args, frame, held=held)
        elif kind == "grad-mode":
            self._switched(frame, enabled=bool(args[0]))
        elif kind == "requires-grad":
            self._requires_grad(args[0], frame)
        elif kind == "in-place":
            self._in_place(operation, args, kwargs, frame)
        elif kind == "foreach-in-place":
            self._foreach(operation, args, kwargs, frame)
        elif kind == "set-item":
            self._write(operation, args[0], [args[0], *tensors_in(args[1:])], frame, args)
        elif kind == "export":
            self._exports.note(
                operation.name, self._raw(frame), self.source(args[0]), args[0], result
            )
        elif kind == "storage":
            self._exports.pickled(frame, self._raw(frame), self.source(args[0]), args[0])
        else:
            self._made(operation, args, kwargs, result, frame)

    def _classify(self, function: Callable[..., Any]) -> Operation:
        known = self._operations.get(function)
        if known is None:
            known = self._operations[function] = classify(function)
        return known

    def _made(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: object,
        frame: FrameType,
    ) -> None:
        outputs = list(tensors_in((result,)))
        if not outputs:
            return
        inputs = inputs_of(operation, args, kwargs)
        parents = tuple(self.source(tensor) for tensor in inputs)
        raw = self._raw(frame)
        if self._exports and operation.kind != "like":
            parents += (
                self._exports.among(raw, args)
                if inputs
                else self._exports.made_into(outputs[0], operation.name, args, frame)
            )
        for output in outputs:
            if any(output is tensor for tensor in inputs):
                continue  # x.to(x.device), x.contiguous(): the same value
            node = self._record(operation, output, parents, raw, frame)
            if inputs and operation.kind in {"detach", "view"}:
                node.base = weakref.ref(inputs[0])

    def _record(
        self,
        operation: Operation,
        output: torch.Tensor,
        parents: tuple[Node, ...],
        raw: RawSite | None,
        frame: FrameType,
    ) -> Node:
        relevant = any(parent.relevant for parent in parents)
        node = Node(operation.name, raw, parents if relevant else (), connected=connected(output))
        node.relevant = relevant
        if node.connected:
            self.lines.note(output, operation.name, raw)
        if relevant:
            self._connect(node, operation, output, parents, frame)
        elif node.connected and is_leaf(output):
            leaf = self._leaves.learn(output, self._resolve(raw))
            node.leaf, node.relevant = leaf.number, True
        self.attach(output, node)
        return node

    def _connect(
        self,
        node: Node,
        operation: Operation,
        output: torch.Tensor,
        parents: tuple[Node, ...],
        frame: FrameType,
    ) -> None:
        if operation.kind in {"detach", "view"} and parents:
            first = parents[0]
            node.shares = first.shares if first.leaf is None else first.leaf
            node.gradient_of = first.gradient_of
        for parent in parents:
            parent.consumed = True
            if (
                node.connected
                and parent.leaf is not None
                and parent.leaf not in self.entered
                and torch.is_grad_enabled()  # a view made under no_grad is connected (torch 2.13)
            ):
                self.entered.note(parent.leaf, self._sites.raw_stack(frame))
        if node.connected:
            if is_leaf(output):  # re-made with requires_grad=True: a leaf, whatever it came from
                leaf = self._leaves.learn(output, self._resolve(node.site))
                leaf.derived = True
                if node.leaf is None and operation.kind == "detach":
                    leaf.copy_of = leaf.copy_of or copied_from(node)
                node.leaf, node.cut = leaf.number, "detach"
                node.given = Given(1, self._backwards)
                return
            if output.numel() == 1:
                self._losses.append(node)
        elif any(parent.connected for parent in parents):
            self._explain_cut(node, operation, frame)

    def made(
        self, operation: Operation, source: torch.Tensor, result: torch.Tensor, frame: FrameType
    ) -> None:
        """A tensor was made from another, and no function mode saw it."""
        self._record(operation, result, (self.source(source),), self._raw(frame), frame)

    def _explain_cut(self, node: Node, operation: Operation, frame: FrameType) -> None:
        if operation.kind == "detach" or operation.name == "data":
            node.cut = "detach"
        elif not torch.is_grad_enabled():
            if checkpointing(frame):
                node.cut = "checkpoint"
                return
            node.cut = "grad-mode"
            node.switch = self._switch or enclosing_switch(frame, self._sites)

    # -- properties --------------------------------------------------------------------------

    def _got(
        self, operation: Operation, tensor: torch.Tensor, result: object, frame: FrameType
    ) -> None:
        if operation.name == "grad":
            if isinstance(result, torch.Tensor) and self.node(result) is None:
                self._gradient(tensor, result)
            if self._sites.user.owns(frame.f_code):
                self._watcher.gradient_read(tensor, frame, present=result is not None)
        elif operation.name == "data" and isinstance(result, torch.Tensor):
            raw = self._raw(frame)
            alias = Operation("data", "detach")
            node = self._record(alias, result, (self.source(tensor),), raw, frame)
            node.base = weakref.ref(tensor)

    def _gradient(self, tensor: torch.Tensor, gradient: torch.Tensor) -> None:
        leaf = self._leaves.find(tensor)
        if leaf is None:
            return
        node = Node("grad", None, (), connected=connected(gradient))
        node.gradient_of, node.relevant = leaf.number, True
        self.attach(gradient, node)

    def _set(
        self, operation: Operation, args: tuple[Any, ...], frame: FrameType, *, held: bool
    ) -> None:
        tensor = args[0]
        if operation.name == "grad":
            self._grad_set(tensor, args[1] if len(args) > 1 else None, frame, held=held)
        elif operation.name == "requires_grad":
            self._requires_grad(tensor, frame)
        elif operation.name == "data" and len(args) > 1:
            given = [self.source(args[1])]
            self._update(tensor, given, frame)
            self._given(Operation("data", "set"), tensor, given, frame)

    def _grad_set(
        self, tensor: torch.Tensor, value: object, frame: FrameType, *, held: bool
    ) -> None:
        leaf = self._leaves.find(tensor)
        if leaf is None:
            if not is_leaf(tensor):
                return
            leaf = self._leaves.learn(tensor)
        site = self._sites.here(frame)
        if value is None:
            if held:
                self._watcher.cleared_by_hand(leaf, site, to_none=True)
        elif isinstance(value, torch.Tensor):
            known = self.node(value)
            if known is not None and known.gradient_of == leaf.number:
                return  # `x.grad *= 0` and the like assign what they changed in place
            if is_zero(value):
                self._watcher.cleared_by_hand(leaf, site, to_none=False)
            else:
                self._watcher.assigned_by_hand(leaf, site)

    def _requires_grad(self, tensor: torch.Tensor, frame: FrameType) -> None:
        site = self._sites.here(frame)
        node = self.node(tensor)
        if node is not None and node.leaf is None and is_leaf(tensor) and tensor.requires_grad:
            self._refresh(node, tensor)
        leaf = self._leaves.find(tensor)
        if leaf is None and is_leaf(tensor) and tensor.requires_grad:
            leaf = self._leaves.learn(tensor, self._resolve(node.site) if node else site)
        if leaf is not None and site is not None:
            self._watcher.requires_grad_set(leaf, site, value=tensor.requires_grad)

    def _switched(self, frame: FrameType, *, enabled: bool) -> None:
        if enabled:
            self._switch = None
        elif self._switch is None:
            self._switch = switch_site(frame, self._sites)

    @property
    def switch(self) -> Site | None:
        """Where grad mode was switched off, while it is off."""
        return self._switch

    # -- in place ----------------------------------------------------------------------------

    def _in_place(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> None:
        target = args[0] if args else next(iter(kwargs.values()), None)
        if isinstance(target, torch.Tensor):
            others = [*tensors_in(args[1:]), *tensors_in(kwargs.values())]
            self._write(operation, target, [target, *others], frame, args)

    def _foreach(
        self,
        operation: Operation,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        frame: FrameType,
    ) -> None:
        targets = list(args[0]) if args else []
        lists = [list(each) for each in args[1:] if isinstance(each, (list, tuple))]
        shared = [*tensors_in(each for each in args[1:] if isinstance(each, torch.Tensor))]
        shared += tensors_in(kwargs.values())
        for index, target in enumerate(targets):
            others = [each[index] for each in lists if index < len(each)]
            self._write(operation, target, [target, *tensors_in(others), *shared], frame)

    def _write(
        self,
        operation: Operation,
        target: torch.Tensor,
        inputs: list[torch.Tensor],
        frame: FrameType,
        handed: tuple[Any, ...] = (),
    ) -> None:
        """``target`` was changed in place with what was computed from ``inputs``.

        ``handed`` are all arguments, numbers among them.
        """
        node = self.node(target)
        leaf = self._leaves.find(target)
        others = [self.source(tensor) for tensor in inputs[1:] if tensor is not target]
        if leaf is not None and is_leaf(target):
            self._update(target, others, frame)
            self._given(operation, target, others, frame)
        elif node is not None and node.gradient_of is not None:
            self._gradient_written(operation, node.gradient_of, target, others, frame)
        elif node is not None and node.shares is not None:
            self._update_leaf(self._leaves[node.shares], others, frame)
        else:
            numbers = self._exports.among(self._raw(frame), handed) if self._exports else ()
            parents = (self.source(target), *others, *numbers)
            base = None if node is None or node.base is None else strong(node.base)
            written = self._record(operation, target, parents, self._raw(frame), frame)
            if base is not None:
                self._write_through(operation, base, written, others, frame)

    def _given(
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
        before = self.source(target).given
        node = self._record(operation, target, given, self._raw(frame), frame)
        node.given = Given(before.writes + 1, before.since) if before else Given(1, self._backwards)
        if not node.connected:
            node.cut = "detach"

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
        node = self._record(operation, base, (self.source(base), *others), self._raw(frame), frame)
        if not node.connected and node.switch is None:
            node.cut = "detach"

    def _gradient_written(
        self,
        operation: Operation,
        number: int,
        gradient: torch.Tensor,
        others: list[Node],
        frame: FrameType,
    ) -> None:
        leaf = self._leaves[number]
        site = self._sites.here(frame)
        if operation.name in ZEROING and is_zero(gradient):
            self._watcher.cleared_by_hand(leaf, site, to_none=False)
        elif operation.name != "detach_" and not only_measured(frame):
            self._watcher.rescaled(leaf, site, clipped=clips(operation, others, frame))

    def _update(self, target: torch.Tensor, others: list[Node], frame: FrameType) -> None:
        leaf = self._leaves.find(target)
        if leaf is not None:
            self._update_leaf(leaf, others, frame)

    def _update_leaf(self, leaf: Leaf, others: list[Node], frame: FrameType) -> None:
        if comes_from_gradient(others, leaf.number) and not by_an_optimizer(frame):
            site = self._sites.here(frame)
            if site is not None:
                self._watcher.updated_by_hand(leaf, site)

    # -- losses ------------------------------------------------------------------------------

    def trained(self) -> None:
        """A backward, a step, a clearing: what Python was handed before belongs to the past."""
        self._exports.clear()

    def ancestry(self, roots: list[Node]) -> Ancestry:
        """What the roots of a backward were made from, what was handed to Python included."""
        self._backwards += 1
        return ancestry([*roots, *self._exports.take_counts()], self._backwards)

    def losses_left(self) -> Iterator[tuple[Site, frozenset[int], bool]]:
        """Scalars that nothing was made of and no backward was called on; each told once.

        With the leaves each was made from, and whether the script looked at its value.
        """
        for node in self._losses:
            if not node.consumed and node.site is not None:
                yield self._sites.of(node.site), leaves_of((node,)), node.shown
        self._losses.clear()

    # -- custom functions --------------------------------------------------------------------

    def applied(self, name: str, args: tuple[Any, ...], result: object, frame: FrameType) -> None:
        """An autograd Function was applied; inside, its forward ran out of the graph."""
        parents = tuple(self.source(tensor) for tensor in tensors_in(args))
        raw = self._raw(frame)
        operation = Operation(name, "plain")
        for output in tensors_in((result,)):
            inner = self.node(output)
            if any(output is tensor for tensor in tensors_in(args)):
                continue
            hidden = (inner,) if inner is not None and not output.requires_grad else ()
            node = self._record(operation, output, (*parents, *hidden), raw, frame)
            if node.connected:
                node.cut = "blocked"

    # -- small things ------------------------------------------------------------------------

    def _raw(self, frame: FrameType) -> RawSite | None:
        user = self._sites.user_frame(frame)
        return None if user is None else (user.f_code, user.f_lasti)

    def _resolve(self, raw: RawSite | None) -> Site | None:
        return None if raw is None else self._sites.of(raw)
