"""Where the forward made NaN or Inf first: the sizes of values, followed back through the dataflow.

Once there is NaN in the forward, the backward of whatever comes behind it makes NaN of finite
gradients, and that operation is not to blame.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import torch

from gradaudit.model.events import Spoiler
from gradaudit.observe.flow import Node
from gradaudit.observe.leaves import Leaves, strong
from gradaudit.observe.magnitude import largest, measurable
from gradaudit.observe.nodes import Nodes

#: What writes a number into a tensor that the user has chosen: Inf is meant there.
_FILLING = frozenset({"masked_fill", "masked_fill_", "where", "__setitem__", "fill_", "full"})

_FINITE, _INFINITE, _NAN = range(3)


@dataclass(frozen=True, slots=True)
class Birth:
    """The operation from which on there was NaN or Inf, and where that came from.

    ``leaf`` is the number of the leaf that held it.
    """

    node: Node
    by: Spoiler
    leaf: int | None = None


class Forward:
    """Asked behind a backward, while what it went through is still alive."""

    def __init__(self, nodes: Nodes, leaves: Leaves) -> None:
        self._nodes = nodes
        self._leaves = leaves

    def behind(self, roots: Sequence[torch.Tensor], node: Any) -> Birth | None:
        """What made the loss NaN or Inf; or else what the operation of an autograd node was given.

        None where the forward was finite as far as is known.
        """
        losses = [found for root in roots if (found := self._nodes.node(root)) is not None]
        spoilt = [each for each in self._known(losses) if self._rank(each)]
        if spoilt:
            return self._birth(spoilt[0])
        value = self._nodes.lines.value(node)
        if value is None:
            return None
        if not self._rank(value):
            return self._left_out(value)
        birth = self._birth(value)
        return None if birth.node is value and birth.by == "forward" else birth

    def _left_out(self, value: Node) -> Birth | None:
        """What went into a value which shows nothing of it: rows that a loss ignores."""
        for each in self._known(value.parents):
            rank = self._rank(each)
            if rank:
                birth = self._entered(value, each) or self._birth(each)
                if rank == _NAN or not _meant(birth):
                    return birth
        return None

    def _birth(self, node: Node) -> Birth:
        """Go back as long as what went in was as bad already."""
        while True:
            rank = self._rank(node)
            before = [(self._rank(each), each) for each in self._known(node.parents)]
            worst = max((each for each, _ in before), default=_FINITE)
            if worst == _FINITE:
                computed = before or (node.connected and node.parents)
                return Birth(node, "forward" if computed else "value")
            bad = next(each for found, each in before if found == worst)
            if worst < rank:  # NaN of Inf, which may be there on purpose
                birth = self._entered(node, bad) or self._birth(bad)
                return Birth(node, "forward") if _meant(birth) else birth
            entered = self._entered(node, bad)
            if entered is not None:
                return entered
            node = bad

    def _entered(self, node: Node, bad: Node) -> Birth | None:
        """How NaN or Inf came in, if it was not computed."""
        if self._alive(bad) is not None:
            return Birth(node, "leaf", bad.leaf)
        if bad.connected or bad.parents:
            return None
        return Birth(node, "input") if bad.site is None else Birth(bad, "value")

    def _known(self, nodes: Iterable[Node]) -> Iterator[Node]:
        """These, or what they were made from where they were not measured: views, most of all."""
        seen: set[int] = set()
        queue = list(nodes)
        for node in queue:  # the queue grows while it is walked
            if id(node) in seen:
                continue
            seen.add(id(node))
            if node.size is not None or self._alive(node) is not None:
                yield node
            else:
                queue.extend(node.parents)

    def _rank(self, node: Node) -> int:
        size, leaf = node.size, self._alive(node)
        if leaf is not None:
            size = largest(leaf) if measurable(leaf) else None
        if size is None:
            return _FINITE
        number = float(size)
        if isfinite(number):
            return _FINITE
        return _NAN if isnan(number) else _INFINITE

    def _alive(self, node: Node) -> torch.Tensor | None:
        """The leaf that a node stands for, if it is one and still there."""
        if node.leaf is None or node.leaf not in self._leaves:
            return None
        return strong(self._leaves[node.leaf].reference)


def _meant(birth: Birth) -> bool:
    """Whether Inf may be there on purpose: in a mask, most of all."""
    return birth.by in ("value", "input") or birth.node.operation in _FILLING
