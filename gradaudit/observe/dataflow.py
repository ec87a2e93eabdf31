"""Folds torch calls into the dataflow of the probe, and tells what they did to gradients."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Sequence
from types import FrameType
from typing import Any

import torch

from gradaudit.observe.arguments import inputs_of, tensors_in
from gradaudit.observe.flow import Node
from gradaudit.observe.grad_mode import switch_site
from gradaudit.observe.hooks import Hooks
from gradaudit.observe.leaves import Leaves, connected, is_leaf
from gradaudit.observe.magnitude import size
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.operations import Operation, classify
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.watchers import GradientWatcher
from gradaudit.observe.writes import Writes
from gradaudit.observe.written import is_zero

_AUTOGRAD_GRAD = Operation("autograd.grad", "plain")


class Dataflow:
    """What each torch call does: it makes values, writes into them, or is about gradients."""

    def __init__(
        self, sites: SiteBook, leaves: Leaves, nodes: Nodes, watcher: GradientWatcher
    ) -> None:
        self._sites = sites
        self._leaves = leaves
        self._watcher = watcher
        self._operations: dict[Callable[..., Any], Operation] = {}
        self.nodes = nodes
        self.hooks = Hooks(sites.user)
        self._writes = Writes(self.nodes, sites, leaves, watcher)
        self.calls = 0

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
        if kind == "hook":
            self._hooked(*args)
            return
        if kind == "show":
            self.nodes.source(args[0]).shown = True
            return
        if kind == "get":
            self._got(operation, args[0], result, frame)
        elif kind in {"set", "delete"}:
            self._set(operation, args, frame, held=held)
        elif kind == "differentiation":
            self._differentiated(args[0], args[1], result, frame)
        elif kind == "grad-mode":
            self._switched(frame, enabled=bool(args[0]))
        elif kind == "requires-grad":
            self._requires_grad(args[0], frame)
        elif kind == "in-place":
            self._writes.in_place(operation, args, kwargs, frame)
        elif kind == "foreach-in-place":
            self._writes.foreach(operation, args, kwargs, frame)
        elif kind == "set-item":
            self._writes.write(operation, args[0], [args[0], *tensors_in(args[1:])], frame, args)
        elif kind == "export":
            self.nodes.exports.note(
                operation.name, self.nodes.raw(frame), self.nodes.source(args[0]), args[0], result
            )
        elif kind == "storage":
            self.nodes.exports.pickled(
                frame, self.nodes.raw(frame), self.nodes.source(args[0]), args[0]
            )
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
        parents = tuple(self.nodes.source(tensor) for tensor in inputs)
        raw = self.nodes.raw(frame)
        if self.nodes.exports and operation.kind != "like":
            parents += (
                self.nodes.exports.among(raw, args)
                if inputs
                else self.nodes.exports.made_into(outputs[0], operation.name, args, raw, frame)
            )
        for output in outputs:
            if any(output is tensor for tensor in inputs):
                continue  # x.to(x.device), x.contiguous(): the same value
            node = self.nodes.record(operation, output, parents, raw, frame)
            if node.connected:
                _measure(parents, inputs)
            if inputs and operation.kind in {"detach", "view"}:
                node.base = weakref.ref(inputs[0])

    def made(
        self, operation: Operation, source: torch.Tensor, result: torch.Tensor, frame: FrameType
    ) -> None:
        """A tensor was made from another, and no function mode saw it."""
        self.nodes.record(
            operation, result, (self.nodes.source(source),), self.nodes.raw(frame), frame
        )

    def _hooked(self, tensor: torch.Tensor, function: Callable[..., Any]) -> None:
        if tensor.grad_fn is not None:  # a leaf can be asked for its hooks
            self.hooks.note_ahead(tensor.grad_fn, function)

    # -- properties --------------------------------------------------------------------------

    def _got(
        self, operation: Operation, tensor: torch.Tensor, result: object, frame: FrameType
    ) -> None:
        if operation.name == "grad":
            if isinstance(result, torch.Tensor) and self.nodes.node(result) is None:
                self._gradient(tensor, result)
            if self._sites.user.owns(frame.f_code):
                self._watcher.gradient_read(tensor, frame, present=result is not None)
        elif operation.name == "data" and isinstance(result, torch.Tensor):
            raw = self.nodes.raw(frame)
            alias = Operation("data", "detach")
            node = self.nodes.record(alias, result, (self.nodes.source(tensor),), raw, frame)
            node.base = weakref.ref(tensor)

    def _differentiated(
        self, outputs: object, inputs: object, result: object, frame: FrameType
    ) -> None:
        parents = tuple(self.nodes.source(tensor) for tensor in tensors_in((outputs,)))
        raw = self.nodes.raw(frame)
        for gradient in tensors_in((result,)):
            node = self.nodes.record(_AUTOGRAD_GRAD, gradient, parents, raw, frame)
            if not node.connected:
                node.cut = "first-order"
        for tensor in tensors_in((inputs,)):
            leaf = self._leaves.find(tensor)
            if leaf is not None:
                leaf.differentiated = True

    def _gradient(self, tensor: torch.Tensor, gradient: torch.Tensor) -> None:
        leaf = self._leaves.find(tensor)
        if leaf is None:
            return
        node = Node("grad", None, (), connected=connected(gradient))
        node.gradient_of, node.relevant = leaf.number, True
        self.nodes.attach(gradient, node)

    def _set(
        self, operation: Operation, args: tuple[Any, ...], frame: FrameType, *, held: bool
    ) -> None:
        tensor = args[0]
        if operation.name == "grad":
            self._grad_set(tensor, args[1] if len(args) > 1 else None, frame, held=held)
        elif operation.name == "requires_grad":
            self._requires_grad(tensor, frame)
        elif operation.name == "data" and len(args) > 1:
            given = [self.nodes.source(args[1])]
            self._writes.update(tensor, given, frame)
            self._writes.given(Operation("data", "set"), tensor, given, frame)

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
            known = self.nodes.node(value)
            if known is not None and known.gradient_of == leaf.number:
                return  # `x.grad *= 0` and the like assign what they changed in place
            if known is None:
                self._gradient(tensor, value)
            elif known.gradient_of is None:  # from now on what is written into it is, too
                known.gradient_of, known.relevant = leaf.number, True
            if is_zero(value):
                self._watcher.cleared_by_hand(leaf, site, to_none=False)
            else:
                self._watcher.assigned_by_hand(leaf, site)

    def _requires_grad(self, tensor: torch.Tensor, frame: FrameType) -> None:
        site = self._sites.here(frame)
        node = self.nodes.node(tensor)
        if node is not None and node.leaf is None and is_leaf(tensor) and tensor.requires_grad:
            self.nodes.refresh(node, tensor)
        leaf = self._leaves.find(tensor)
        if leaf is None and is_leaf(tensor) and tensor.requires_grad:
            leaf = self._leaves.learn(tensor, self.nodes.resolve(node.site) if node else site)
        if leaf is not None and site is not None:
            self._watcher.requires_grad_set(leaf, site, value=tensor.requires_grad)

    def _switched(self, frame: FrameType, *, enabled: bool) -> None:
        if enabled:
            self.nodes.switch = None
        elif self.nodes.switch is None:
            self.nodes.switch = switch_site(frame, self._sites)

    # -- custom functions --------------------------------------------------------------------

    def applied(self, name: str, args: tuple[Any, ...], result: object, frame: FrameType) -> None:
        """An autograd Function was applied; inside, its forward ran out of the graph."""
        parents = tuple(self.nodes.source(tensor) for tensor in tensors_in(args))
        raw = self.nodes.raw(frame)
        operation = Operation(name, "plain")
        for output in tensors_in((result,)):
            inner = self.nodes.node(output)
            if any(output is tensor for tensor in tensors_in(args)):
                continue
            hidden = (inner,) if inner is not None and not output.requires_grad else ()
            node = self.nodes.record(operation, output, (*parents, *hidden), raw, frame)
            if node.connected:
                node.cut = "blocked"


def _measure(nodes: Sequence[Node], tensors: Iterable[torch.Tensor]) -> None:
    """Know how large the data is that goes into the graph; of what is in it, that is known."""
    for node, tensor in zip(nodes, tensors, strict=False):
        if node.size is None and not node.connected and node.leaf is None:
            node.size = size(tensor)
