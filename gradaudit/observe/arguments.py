"""The tensors among the arguments of a torch function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch

from gradaudit.observe.operations import Operation


def inputs_of(
    operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[torch.Tensor]:
    """The tensors whose content goes into an operation."""
    if operation.kind == "like":
        return []
    if operation.name == "copy.deepcopy":
        return [args[0]]  # the memo beside it holds everything copied before
    if operation.name == "new_tensor":
        return list(tensors_in(args[1:]))
    return [*tensors_in(args), *tensors_in(kwargs.values())]


def tensors_in(values: Iterable[Any]) -> Iterator[torch.Tensor]:
    """Every tensor among values, and in lists, tuples and dicts among them."""
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            if value and not isinstance(value[0], (int, float, str)):
                yield from tensors_in(value)
        elif isinstance(value, dict):
            yield from tensors_in(value.values())
