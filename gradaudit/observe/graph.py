"""The autograd graph, as far as leaves are concerned."""

from __future__ import annotations

from collections.abc import Iterable

import torch

#: How many nodes of the graph are visited in search of leaves.
_NODES = 200_000


def leaves_below(roots: Iterable[torch.Tensor]) -> list[torch.Tensor]:
    """Every leaf into which a backward from the roots can accumulate."""
    found: dict[int, torch.Tensor] = {}
    stack = []
    for root in roots:
        if root.grad_fn is not None:
            stack.append(root.grad_fn)
        elif root.requires_grad:
            found[id(root)] = root
    seen = set(stack)
    while stack and len(seen) < _NODES:
        node = stack.pop()
        variable = getattr(node, "variable", None)  # only AccumulateGrad has one
        if isinstance(variable, torch.Tensor):
            found[id(variable)] = variable
            continue
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                stack.append(following)
    return list(found.values())
