"""What was handed from torch to Python, in case Python hands it back.

Nothing is seen of what Python and NumPy do in between, so the way back is guessed: a number is
known by its value; of a tensor made from Python's data it cannot be known what the data were
computed from, so all values handed out since the last backward count as its origin.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import torch

from gradaudit.observe.flow import Node
from gradaudit.observe.sites import RawSite

#: Functions that make tensors of Python's data.
_FROM_PYTHON = frozenset({"tensor", "as_tensor", "asarray", "from_numpy", "full", "from_dlpack"})

#: How many exports are remembered, and how much of a list is searched for numbers among them.
_KEPT, _LISTED = 32, 256

#: Numbers that are met everywhere.
_COMMON = frozenset({0.0, 1.0})


class Exports:
    """The values handed to Python since the last backward, step or clearing."""

    def __init__(self) -> None:
        self._kept: deque[tuple[Node, float | None]] = deque(maxlen=_KEPT)

    def __bool__(self) -> bool:
        return bool(self._kept)

    def clear(self) -> None:
        """What comes now belongs to the next loss."""
        self._kept.clear()

    def note(
        self,
        operation: str,
        site: RawSite | None,
        source: Node,
        tensor: torch.Tensor,
        result: object,
    ) -> None:
        """The content of ``tensor`` was handed out.

        Only numbers are kept: an array would keep the tensor alive whose memory it shares.
        """
        if source.relevant and not source.spent and tensor.is_floating_point():
            node = Node(operation, site, (source,), connected=False)
            node.relevant, node.cut = True, "export"
            self._kept.append((node, result if isinstance(result, float) else None))

    def among(self, arguments: tuple[Any, ...]) -> tuple[Node, ...]:
        """Exported numbers among the arguments of an operation on tensors."""
        numbers = {value for value in arguments if isinstance(value, float)} - _COMMON
        return tuple(node for node, value in self._kept if value is not None and value in numbers)

    def made_into(
        self, output: torch.Tensor, operation: str, arguments: tuple[Any, ...]
    ) -> tuple[Node, ...]:
        """Exports that a tensor made without any tensor may stem from."""
        return self.behind(output, arguments) if operation in _FROM_PYTHON else ()

    def behind(self, tensor: torch.Tensor, data: tuple[Any, ...] = ()) -> tuple[Node, ...]:
        """Exports that a tensor of Python's data may stem from.

        Numbers make scalars, whatever was computed from them meanwhile, and lists in which they
        are found again; arrays and lists make anything.
        """
        if not tensor.is_floating_point():
            return ()
        scalar = tensor.numel() == 1
        numbers = {
            value
            for part in data
            if isinstance(part, (list, tuple))
            for value in part[:_LISTED]
            if isinstance(value, float)
        }
        return tuple(
            node for node, value in self._kept if scalar or value is None or value in numbers
        )
