"""Reads of ``.grad`` by the user's own code, and why one of them found None."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from types import FrameType

import torch

from gradaudit.model.events import ReadReason
from gradaudit.observe.columns import told_apart
from gradaudit.observe.sites import SiteBook, _position


@dataclass(frozen=True, slots=True)
class Read:
    """The expression whose ``.grad`` was read.

    ``asking`` is whether the read only asks if there is a gradient; ``changing`` whether it is only
    there to change it; ``bulk`` whether the
    expression is the variable of a loop or comprehension, one of many rather than one by name.
    """

    subject: str
    asking: bool
    changing: bool
    bulk: bool


class Reads:
    """Looks reads up in the source, once for every place."""

    def __init__(self, sites: SiteBook) -> None:
        self._sites = sites
        self._known: dict[tuple[int, int], tuple[object, Read | None]] = {}

    def at(self, frame: FrameType) -> Read | None:
        """The read that ``frame`` is doing; None where the source does not show it."""
        code, lasti = frame.f_code, frame.f_lasti
        key = (id(code), lasti)
        known = self._known.get(key)
        if known is None or known[0] is not code:
            known = self._known[key] = (code, self._look_up(frame))
        return known[1]

    def _look_up(self, frame: FrameType) -> Read | None:
        source = self._sites.sources[frame.f_code.co_filename]
        line, _, column, _ = _position(frame.f_code, frame.f_lasti)
        reads = source.attributes(line, "grad")
        if not reads:
            return None
        found: ast.Attribute | None = None
        if column is not None:
            found = next((each for each in reads if each.col_offset == column), None)
        elif len(reads) > 1:
            found = told_apart(source.tree, reads, frame.f_code, frame.f_lasti)
        found = found or reads[0]
        names = {node.id for node in ast.walk(found.value) if isinstance(node, ast.Name)}
        return Read(
            ast.unparse(found.value),
            source.asks_for_none(found),
            source.only_changes(found),
            bool(names & source.loop_targets_at(line)),
        )


def reason_for_none(tensor: torch.Tensor, *, backward_ran: bool, was_filled: bool) -> ReadReason:
    """Why ``tensor.grad`` is None at this moment."""
    if not tensor.is_leaf:
        return "non-leaf"
    if not tensor.requires_grad:
        return "requires-grad-missing"
    if was_filled:
        return "cleared"
    return "not-reached" if backward_ran else "before-backward"
