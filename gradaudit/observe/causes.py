"""Which operation's backward made NaN, Inf or exact zeros: hooks on the graph, for the probe.

Behind every node of the graph a hook takes the largest magnitude of each gradient that the node
has computed.  When the backward is over, and only if some gradient was zero or not finite, the
graph is walked in the order in which gradients flowed, to find where it happened first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import isfinite
from time import perf_counter
from typing import Any

import torch
from torch.utils.hooks import RemovableHandle

from gradaudit.model import events as ev
from gradaudit.model.events import Event, Members, ZeroKind
from gradaudit.model.sites import Site
from gradaudit.observe.flatness import PASSING, SHARES, bare, kind, of_zeros, reducing
from gradaudit.observe.graph import Below
from gradaudit.observe.lines import Lines
from gradaudit.observe.magnitude import Fetched, largest, measurable, roughly
from gradaudit.observe.sites import SiteBook

#: How many nodes are hooked in one backward; of larger graphs nothing is measured.
_HOOKED = 60_000

#: What a gradient counts as that cannot be measured: neither zero nor spoilt.
_SOUND = 1.0


@dataclass(frozen=True, slots=True)
class Origin:
    """A node that made zeros, or NaN or Inf.

    ``term``: its result is just a term of the loss.  ``zeros``: it multiplied zeros by zeros.
    """

    node: Any
    term: bool
    zeros: bool


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

    def __init__(self, below: Below) -> None:
        self._below = below
        self._nodes = [
            node
            for node in below.inner
            if type(node).__name__ not in PASSING or node in below.roots
        ]
        self._roots = frozenset(below.roots)
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
            self._hooks.append(node.register_hook(partial(self._ran, index, node in self._roots)))

    def unhook(self) -> None:
        """Take the hooks away: the graph may be used again."""
        for hook in self._hooks:
            hook.remove()
        self._hooks.clear()

    def _ran(self, index: int, root: bool, made: Sequence[Any], given: Sequence[Any]) -> None:
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
                if root:
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
            if any(map(_noteworthy, self._computed.values())):
                return self._trace()
        return {}

    def _trace(self) -> dict[Any, _Arrived]:
        inner = self._below.inner
        computed = {self._nodes[index]: values for index, values in self._computed.items()}
        sound = {node for node, ran in zip(self._nodes, self._sound, strict=True) if ran}
        arrived = {node: _Arrived() for node in (*inner, *self._below.leaves)}
        for index, values in self._given.items():
            _root(arrived[self._nodes[index]], values)
        for node in _in_order(inner, self._below.roots):
            passed = [_SOUND] * len(inner[node]) if node in sound else computed.get(node)
            self._pass(node, arrived, passed)
        return {node: arrived[node] for node in self._below.leaves}

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


@dataclass(slots=True, eq=False)
class Backward:
    """One backward under observation: its hooks, its leaves by their nodes, its loss."""

    measured: Measured
    numbers: dict[Any, int]
    losses: list[Any]


class Causes:
    """Tells which operations spoilt gradients."""

    def __init__(
        self, lines: Lines, sites: SiteBook, members: Callable[[Iterable[int]], Members]
    ) -> None:
        self._lines = lines
        self._sites = sites
        self._members = members

    def begins(
        self, roots: Sequence[torch.Tensor], below: Below, numbers: dict[Any, int]
    ) -> Backward | None:
        """A backward is about to run."""
        if not below.inner or len(below.inner) > _HOOKED:
            return None
        losses = [largest(root) for root in roots if measurable(root) and root.numel() == 1]
        measured = Measured(below)
        try:
            measured.hook()
        except BaseException:
            measured.unhook()
            raise
        return Backward(measured, numbers, losses)

    def ends(self, backward: Backward, site: Site) -> list[Event]:
        """It has run: what is to be told of it."""
        arrived = backward.measured.origins()
        if backward.measured.error is not None:
            raise backward.measured.error
        if not arrived:
            return []
        losses = [float(loss) for loss in backward.losses]
        satisfied = bool(losses) and not any(losses)
        finite = all(map(isfinite, losses))
        spoilt: dict[Origin, set[int]] = {}
        zeroed: dict[Origin, set[int]] = {}
        for node, each in arrived.items():
            if each.spoilt_by is not None:
                spoilt.setdefault(each.spoilt_by, set()).add(backward.numbers[node])
            if each.some and each.zero:
                for origin in each.zeroed_by:
                    zeroed.setdefault(origin, set()).add(backward.numbers[node])
        return [
            *(
                self._nonfinite(origin, leaves, site, finite=finite)
                for origin, leaves in spoilt.items()
            ),
            *(
                self._zero(
                    origin, leaves, site, backward.measured.shape(origin.node), satisfied=satisfied
                )
                for origin, leaves in zeroed.items()
            ),
        ]

    def _nonfinite(self, origin: Origin, leaves: set[int], site: Site, *, finite: bool) -> Event:
        hook, operation, place = self._place(origin.node)
        members = self._members(leaves)
        return ev.NonfiniteMade(place, operation, members, site, finite, by_hook=hook)

    def _zero(
        self,
        origin: Origin,
        leaves: set[int],
        site: Site,
        shape: tuple[int, ...] | None,
        *,
        satisfied: bool,
    ) -> Event:
        hook, operation, place = self._place(origin.node)
        why: ZeroKind = "satisfied"
        if not satisfied:
            why = (
                "hook"
                if hook
                else kind(origin.node, term=origin.term, zeros=origin.zeros, shape=shape)
            )
        return ev.ZeroMade(place, operation, self._members(leaves), site, why)

    def _place(self, node: Any) -> tuple[bool, str, Site | None]:
        """Whether a hook of the user's does it, what that or the operation is called, and where."""
        hook = self._lines.hook(node)
        known = hook or self._lines.of(node)
        if known is None:
            return False, bare(node.name()).lower(), None
        operation, raw = known
        return hook is not None, operation, None if raw is None else self._sites.of(raw)
