"""Which line of the user's ran the operation that a node of the autograd graph belongs to."""

from __future__ import annotations

import weakref
from bisect import bisect_left
from typing import Any

import torch

from gradaudit.observe.flow import Node
from gradaudit.observe.sites import RawSite

#: How many operations are remembered; of more, the later half.
_LINES = 100_000

#: Names that Python gives to operators, as far as they differ from torch's own.
_BINARY = frozenset({"add", "sub", "mul", "div", "truediv", "floordiv", "pow", "matmul", "mod"})
_OPERATORS = {"truediv": "div", "floordiv": "floor_divide", "invert": "bitwise_not"}


class Lines:
    """The operations of the probe by the numbers that autograd gave to their nodes.

    Nodes are numbered in the order in which they are made (``Node._sequence_nr``, torch 2.4 to
    2.13).  An operation that is made of several makes several nodes, and only the one of its
    result is noted: it stands for all that were made since the operation before.
    """

    def __init__(self) -> None:
        self._numbers: list[int] = []
        self._operations: list[str] = []
        self._places: list[RawSite | None] = []
        self._values: list[weakref.ref[Node]] = []

    def note(self, result: torch.Tensor, value: Node) -> None:
        """An operation has run; ``value`` is the node of its result in the dataflow."""
        try:
            number = result.grad_fn._sequence_nr()  # type: ignore[union-attr]
        except AttributeError:  # no node, or a version of torch that does not tell
            return
        numbers = self._numbers
        if numbers and number <= numbers[-1]:
            return  # made by an earlier one
        if len(numbers) >= _LINES:
            for each in (numbers, self._operations, self._places, self._values):
                del each[: _LINES // 2]
        numbers.append(number)
        self._operations.append(value.operation)
        self._places.append(value.site)
        self._values.append(weakref.ref(value))

    def of(self, node: Any) -> tuple[str, RawSite | None] | None:
        """The operation that made a node, as the user called it, and where."""
        index = self._index(node)
        return None if index is None else (spoken(self._operations[index]), self._places[index])

    def value(self, node: Any) -> Node | None:
        """What that operation made, as long as it, or what was made of it, is alive."""
        index = self._index(node)
        return None if index is None else self._values[index]()

    def _index(self, node: Any) -> int | None:
        if not self._numbers:
            return None
        index = bisect_left(self._numbers, node._sequence_nr())
        return None if index == len(self._numbers) else index

    def forget(self) -> None:
        """The probe is over."""
        self._numbers.clear()
        self._operations.clear()
        self._places.clear()
        self._values.clear()


def spoken(name: str) -> str:
    """What users call an operation."""
    if not (name.startswith("__") and name.endswith("__")):
        return name
    name = name.strip("_")
    if name[0] in "ri" and name[1:] in _BINARY:
        name = name[1:]
    return _OPERATORS.get(name, name)
