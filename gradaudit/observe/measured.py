"""What the operations of one backward did to the size of gradients: hooks on the graph.

Behind every node of the graph a hook takes the largest magnitude of each gradient that the node
has computed.  Where a hook of the user's comes before ours, on a tensor or a leaf, what the node
was given is measured too.  When the backward is over, and only if some gradient was zero or not
finite, the graph is walked in the order in which gradients flowed, to find where it happened first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from gradaudit.observe.flatness import PASSING, SHARES, of_zeros, reducing
from gradaudit.observe.graph import Below
from gradaudit.observe.hooks import Hook, Hooks
from gradaudit.observe.magnitude import Fetched, largest, measurable, roughly

#: What a gradient counts as that cannot be measured: neither zero nor spoilt.
_SOUND = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """A node that made zeros, or NaN or Inf.

    ``term``: its result is just a term of the loss.  ``zeros``: it multiplied zeros by zeros.
    With ``hook``, what the node is given was made such by that already.
    """

    node: Any
    term: bool
    zeros: bool = False
    hook: Hook | None = None


@dataclass(slots=True, eq=False)
class _Arrived:
    """All that reached a node: whether anything did, was all of it zero, was any of it spoilt."""

    some: bool = False
    zero: bool = True
    finite: bool = True
    term: bool = True
    zeroed_by: set[Origin] = field(default_factory=set)
    spoilt_by: Origin | None = None


class Measured:
    """The hooks of one backward, and what they have measured."""

    def __init__(self, below: Below, hooks: Hooks) -> None:
        self._below = below
        self._ahead = {node: hook for node in below.inner if (hook := hooks.ahead(node))}
        self._ahead |= {
            node: hook for node, leaf in below.leaves.items() if (hook := hooks.of_leaf(leaf))
        }
        asked = {*below.roots, *self._ahead}
        self._nodes = [
            node for node in below.inner if type(node).__name__ not in PASSING or node in asked
        ]
        self._nodes += [node for node in below.leaves if node in asked]
        self._asked = frozenset(asked)
        self._sound = bytearray(len(self._nodes))
        self._computed: dict[int, list[Any]] = {}
        self._given: dict[int, list[Any]] = {}
        self._shapes: dict[Any, tuple[int, ...]] = {}
        self._hooks: list[RemovableHandle] = []
        self.error: Exception | None = None
        self.seconds = 0.0

    def hook(self) -> None:
        """Listen to every node that computes."""
        for index, node in enumerate(self._nodes):
            self._hooks.append(node.register_hook(partial(self._ran, index, node in self._asked)))

    def unhook(self) -> None:
        """Take the hooks away: the graph may be used again."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _ran(self, index: int, asked: bool, made: Sequence[Any], given: Sequence[Any]) -> None:
        if self.error is not None:
            return
        began = perf_counter()
        try:
            with torch._C.DisableTorchFunction():
                values = _measure(made)
                if values is None:  # the rule; objects for all of them would busy the collector
                    self._sound[index] = True
                else:
                    self._computed[index] = values
                    if type(self._nodes[index]).__name__ in SHARES:
                        self._shapes[self._nodes[index]] = tuple(made[0].shape)
                if asked:
                    self._given[index] = _measure(given) or [_SOUND]
        except Exception as error:  # the user's backward must not notice
            self.error = error
        self.seconds += perf_counter() - began

    # -- behind the backward -------------------------------------------------------------------

    def shape(self, node: Any) -> tuple[int, ...] | None:
        """The shape of the result of a node that makes shares of a whole."""
        return self._shapes.get(node)

    def origins(self) -> dict[Any, _Arrived]:
        """What arrived at the leaves, if anything noteworthy happened; fetches what is far away."""
        if not self.error:
            _fetch((*self._computed.values(), *self._given.values()))
            if any(map(_noteworthy, (*self._computed.values(), *self._given.values()))):
                return self._trace()
        return {}

    def _trace(self) -> dict[Any, _Arrived]:
        inner = self._below.inner
        computed = {self._nodes[index]: values for index, values in self._computed.items()}
        sound = {node for node, ran in zip(self._nodes, self._sound, strict=True) if ran}
        arrived = {node: _Arrived() for node in (*inner, *self._below.leaves)}
        given = {self._nodes[index]: values for index, values in self._given.items()}
        for node in self._below.roots:
            _root(arrived[node], given.get(node, []))
        for node in _in_order(inner, self._below.roots):
            self._hook_in(node, arrived[node], given)
            passed = [_SOUND] * len(inner[node]) if node in sound else computed.get(node)
            self._pass(node, arrived, passed)
        for node in self._below.leaves:
            self._hook_in(node, arrived[node], given)
        return {node: arrived[node] for node in self._below.leaves}

    def _hook_in(self, node: Any, at: _Arrived, given: dict[Any, list[Any]]) -> None:
        """Let the hook ahead of a node do what it did, by what the node was given then."""
        known = [value for value in given.get(node, ()) if value is not None]
        if at.some and known and node in self._ahead:
            own = Origin(node, term=False, hook=self._ahead[node])
            _change(at, own, zero=not any(known), finite=all(map(isfinite, known)))

    def _pass(self, node: Any, arrived: dict[Any, _Arrived], values: list[Any] | None) -> None:
        at, edges = arrived[node], self._below.inner[node]
        if not at.some or (values is None and type(node).__name__ not in PASSING):
            return
        term = at.term and reducing(node, edges)
        own = Origin(node, at.term, of_zeros(node, values))
        for index, (following, _) in enumerate(edges):
            if following is None or following not in arrived:
                continue
            value = _like(at) if values is None or index >= len(values) else values[index]
            if value is None:
                continue
            there = arrived[following]
            there.some = True
            there.term &= term
            if value != 0:
                there.zero = False
            else:
                there.zeroed_by |= at.zeroed_by if at.zero else {own}
            if not isfinite(value):
                there.finite = False
                there.spoilt_by = there.spoilt_by or (own if at.finite else at.spoilt_by)


def _root(arrived: _Arrived, values: list[Any]) -> None:
    """What the backward began with, the loss's own gradient of one included."""
    known = [value for value in values if value is not None]
    arrived.some = bool(known)
    arrived.zero = not any(known)
    arrived.finite = all(map(isfinite, known))


def _change(arrived: _Arrived, own: Origin, *, zero: bool, finite: bool) -> None:
    """What arrived was replaced: what it is now, and who made it so."""
    if not zero:
        arrived.zeroed_by = set()
    elif not arrived.zero:
        arrived.zeroed_by = {own}
    if finite:
        arrived.spoilt_by = None
    elif arrived.finite:
        arrived.spoilt_by = own
    arrived.zero, arrived.finite = zero, finite


def _like(arrived: _Arrived) -> float:
    """The magnitude of what a node hands on as it is."""
    if not arrived.finite:
        return float("nan")
    return 0.0 if arrived.zero else _SOUND


def _measure(gradients: Sequence[Any]) -> list[Any] | None:
    """Their magnitudes, on a CPU as numbers, elsewhere still on the device; None for no gradient.

    And None for all of them, if none is zero and all are finite.
    """
    values: list[Any] = []
    before = None
    value: float | torch.Tensor = _SOUND
    sound = True
    for gradient in gradients:
        if gradient is None:
            values.append(None)
            continue
        if gradient is not before:  # both sides of a sum are given the same tensor
            before = gradient
            if not measurable(gradient):
                value = _SOUND
            elif gradient.is_cpu:
                value = roughly(gradient)
                sound = sound and value != 0 and isfinite(value)
            else:
                value = largest(gradient)
                sound = False
        values.append(value)
    return None if sound else values


def _fetch(lists: Iterable[list[Any]]) -> None:
    """Replace the numbers that are still on a device, those of one device all at once."""
    places: dict[torch.device, list[tuple[list[Any], int]]] = {}
    for values in lists:
        for index, value in enumerate(values):
            if isinstance(value, torch.Tensor):
                places.setdefault(value.device, []).append((values, index))
    for found in places.values():
        numbers = Fetched([values[index] for values, index in found]).take()
        for (values, index), number in zip(found, numbers, strict=True):
            values[index] = number


def _noteworthy(values: list[Any]) -> bool:
    return any(value is not None and (value == 0 or not isfinite(value)) for value in values)


def _in_order(inner: dict[Any, Any], roots: Iterable[Any]) -> Iterable[Any]:
    """The nodes, each behind all that hand gradients to it."""
    waiting = dict.fromkeys(inner, 0)
    for edges in inner.values():
        for following, _ in edges:
            if following in waiting:
                waiting[following] += 1
    ready = [root for root in roots if not waiting[root]]
    while ready:
        node = ready.pop()
        yield node
        for following, _ in inner[node]:
            if following in waiting:
                waiting[following] -= 1
                if not waiting[following]:
                    ready.append(following)
