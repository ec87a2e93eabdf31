"""The autograd graph below the roots of a backward."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import torch

#: How many nodes of the graph are visited in search of leaves.
_NODES = 200_000

#: The nodes that put a gradient into a leaf.
_LEAF = "AccumulateGrad"

#: Where the gradient that a node has computed goes: the node, and which of its outputs it is for.
Edges = tuple[tuple[Any, int], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Below:
    """Part of the graph: its inner nodes with their edges, and the leaves by their nodes.

    It keeps the graph alive, so it must not outlive the backward it is made for.  ``bare`` are
    leaves that are roots themselves; ``whole`` is whether the end was reached everywhere.
    """

    roots: tuple[Any, ...]
    inner: dict[Any, Edges] = field(default_factory=dict)
    leaves: dict[Any, torch.Tensor] = field(default_factory=dict)
    bare: list[torch.Tensor] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether all of it was visited."""
        return len(self.inner) + len(self.leaves) < _NODES

    def tensors(self) -> list[torch.Tensor]:
        """Every leaf into which the backward can accumulate, once."""
        return list({id(leaf): leaf for leaf in (*self.leaves.values(), *self.bare)}.values())


def below(roots: Iterable[torch.Tensor]) -> Below:
    """The graph through which a backward from the roots goes."""
    tensors = list(roots)
    found = Below(tuple({root.grad_fn: None for root in tensors if root.grad_fn is not None}))
    found.bare.extend(root for root in tensors if root.grad_fn is None and root.requires_grad)
    inner, leaves = found.inner, found.leaves
    stack = list(found.roots)
    while stack and len(inner) < _NODES:
        node = stack.pop()
        if node in inner or node in leaves:
            continue
        if type(node).__name__ == _LEAF:
            leaves[node] = node.variable
            continue
        edges = inner[node] = node.next_functions
        stack.extend(following for following, _ in edges if following is not None)
    return found
