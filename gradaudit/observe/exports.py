"""What was handed from torch to Python, in case Python hands it back.

Nothing is seen of what Python and NumPy do in between, so the way back is guessed: a number is
known by its value; of a tensor made from Python's data, and of numbers that are others in every
iteration, it cannot be known what they were computed from, so all values handed out since the last
backward count as their origin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from gradaudit.observe.flow import Node
from gradaudit.observe.sites import RawSite

#: Functions that make tensors of Python's data.
_FROM_PYTHON = frozenset(
    {"tensor", "as_tensor", "asarray", "from_numpy", "full", "from_dlpack", "new_tensor"}
)

#: The functions of torch that take a tensor's memory to pickle it, and make the tensor to which
#: unpickled memory is given: the rest of pickling no function mode sees (torch 2.13).
_PICKLES, _UNPICKLES = "_reduce_ex_internal", "_rebuild_tensor"

#: How many exports are remembered, and how much of a list is searched for numbers among them.
_KEPT, _LISTED = 32, 256

#: How many elements of a tensor whose making went unseen are compared with exported numbers.
_FEW = 64

#: What the export of a pickled tensor is called.
PICKLING = "pickling"

#: Numbers that are met everywhere.
_COMMON = frozenset({0.0, 1.0})


@dataclass(frozen=True, slots=True, eq=False)
class _Export:
    """One value handed out: as numbers, where those are few, or else as a whole.

    ``fresh`` is whether it was computed from leaves since the last backward.
    """

    node: Node
    numbers: frozenset[float] | None
    pickled: bool
    fresh: bool


class Exports:
    """The values handed to Python since the last backward, step or clearing."""

    def __init__(self) -> None:
        #: how many backwards have begun
        self.backwards = 0
        self._kept: deque[_Export] = deque(maxlen=_KEPT)
        #: leaves whose own values were handed out, since the last time somebody asked
        self._leaves: dict[int, RawSite] = {}
        self._counts: deque[Node] = deque(maxlen=_KEPT)
        #: numbers that went into operations on tensors, by place: those that change are computed
        self._numbers: dict[RawSite, float] = {}
        self._computed: set[RawSite] = set()

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
        source.shown = True
        if source.relevant and not source.spent and tensor.is_floating_point():
            if source.leaf is not None and site is not None:
                self._leaves.setdefault(source.leaf, site)
            node = Node(operation, site, (source,), connected=False)
            node.relevant, node.cut = True, "export"
            if isinstance(result, int):
                self._counts.append(_guessed(node))
                return
            numbers = frozenset(_listed(([result],))) or None
            fresh = source.since == self.backwards
            self._kept.append(_Export(node, numbers, operation == PICKLING, fresh))

    def pickled(
        self, frame: FrameType, site: RawSite | None, source: Node, tensor: torch.Tensor
    ) -> None:
        """The memory of ``tensor`` was handed out; to be pickled, perhaps."""
        caller = frame.f_back
        if caller is not None and caller.f_code.co_name == _PICKLES:
            self.note(PICKLING, site, source, tensor, None)

    def take_leaves(self) -> Iterable[tuple[int, RawSite]]:
        """Leaves whose own values were handed out since the last time, and where."""
        leaves, self._leaves = self._leaves, {}
        return leaves.items()

    def take_counts(self) -> tuple[Node, ...]:
        """Values handed out as whole numbers since the last backward.

        For an index, a length, a number of repetitions: they may have gone anywhere.
        """
        counts = tuple(self._counts)
        self._counts.clear()
        return counts

    def among(self, site: RawSite | None, arguments: tuple[Any, ...]) -> tuple[Node, ...]:
        """Exported numbers among the arguments of an operation on tensors.

        A number that is none of them, and another one each time it comes to this place, was
        computed from something: from what was handed out, as like as not.  So was one that is met
        everywhere, where the code itself does not say it: the exponential of a parameter that
        begins with zero, and never changes.
        """
        numbers = {value for value in arguments if isinstance(value, float)}
        if not numbers:
            return ()
        exported = [(each.node, each.numbers) for each in self._kept if each.numbers]
        telling = numbers - _COMMON
        known = tuple(node for node, those in exported if those & telling)
        if known or site is None:
            return known
        if telling:
            changes = self._changes(site, max(telling))
            return tuple(_guessed(node) for node, _ in exported) if changes else ()
        unsaid = numbers.difference(each for each in site[0].co_consts if isinstance(each, float))
        return tuple(_guessed(node) for node, those in exported if those & unsaid)

    def _changes(self, site: RawSite, number: float) -> bool:
        if site not in self._computed and self._numbers.setdefault(site, number) != number:
            self._computed.add(site)
        return site in self._computed

    def made_into(
        self,
        output: torch.Tensor,
        operation: str,
        arguments: tuple[Any, ...],
        site: RawSite | None,
        frame: FrameType,
    ) -> tuple[Node, ...]:
        """Exports that a tensor made without any tensor may stem from."""
        if frame.f_code.co_name == _UNPICKLES:
            return tuple(export.node for export in self._kept if export.pickled)
        if operation not in _FROM_PYTHON:
            return ()
        one = operation == "full" or output.numel() == 1
        numbers = frozenset(_listed(arguments))
        known = self._behind(output, numbers, one=one)
        if known or not numbers or site is None or not self._changes(site, max(numbers)):
            return known
        return self._computed_from(output)

    def behind(self, tensor: torch.Tensor) -> tuple[Node, ...]:
        """Exports that a tensor of Python's data, whose making went unseen, may stem from."""
        few = 1 < tensor.numel() <= _FEW and tensor.device.type == "cpu"
        numbers = frozenset(tensor.flatten().tolist()) if few and tensor.is_floating_point() else ()
        known = self._behind(tensor, frozenset(numbers), one=tensor.numel() == 1)
        return known if known or not numbers else self._computed_from(tensor)

    def _computed_from(self, tensor: torch.Tensor) -> tuple[Node, ...]:
        """Numbers that may have been computed with before they were put into a tensor."""
        if not tensor.is_floating_point():
            return ()
        return tuple(
            _guessed(export.node) for export in self._kept if export.fresh and export.numbers
        )

    def _behind(
        self, tensor: torch.Tensor, numbers: frozenset[float], *, one: bool
    ) -> tuple[Node, ...]:
        # Numbers make scalars, whatever was computed from them meanwhile, and lists in which they
        # are found again; arrays and lists make anything.
        if not tensor.is_floating_point():
            return ()
        return tuple(
            export.node
            for export in self._kept
            if not export.pickled and (one or not export.numbers or export.numbers & numbers)
        )


def _guessed(node: Node) -> Node:
    """The same export, as a mere guess."""
    twin = Node(node.operation, node.site, node.parents, connected=False)
    twin.relevant, twin.cut, twin.guessed = True, "export", True
    return twin


def _listed(values: Iterable[Any]) -> Iterator[float]:
    """The first numbers of lists, and of lists in them."""
    queue = [value for value in values if isinstance(value, (list, tuple))]
    left = _LISTED
    for part in queue:  # the queue grows while it is walked
        for value in part[: max(left, 0)]:
            left -= 1
            if isinstance(value, float):
                yield value
            elif isinstance(value, (list, tuple)):
                queue.append(value)
