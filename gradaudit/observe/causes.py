"""Which operation's backward, or which hook, made NaN, Inf or exact zeros: told of the probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch

from gradaudit.model import events as ev
from gradaudit.model.events import Event, Members, ZeroKind
from gradaudit.model.sites import Site
from gradaudit.observe.flatness import bare, kind
from gradaudit.observe.graph import Below
from gradaudit.observe.hooks import Hooks
from gradaudit.observe.lines import Lines
from gradaudit.observe.magnitude import largest, measurable
from gradaudit.observe.measured import Measured, Origin
from gradaudit.observe.sites import SiteBook

#: How many nodes are hooked in one backward; of larger graphs nothing is measured.
_HOOKED = 60_000


@dataclass(slots=True, eq=False)
class Backward:
    """One backward under observation: its hooks, its leaves by their nodes, its loss."""

    measured: Measured
    numbers: dict[Any, int]
    losses: list[Any]


class Causes:
    """Tells which operations spoilt gradients."""

    def __init__(
        self,
        lines: Lines,
        hooks: Hooks,
        sites: SiteBook,
        members: Callable[[Iterable[int]], Members],
    ) -> None:
        self._lines = lines
        self._hooks = hooks
        self._sites = sites
        self._members = members

    def begins(
        self, roots: Sequence[torch.Tensor], below: Below, numbers: dict[Any, int]
    ) -> Backward | None:
        """A backward is about to run."""
        if not below.inner or len(below.inner) > _HOOKED:
            return None
        losses = [largest(root) for root in roots if measurable(root) and root.numel() == 1]
        measured = Measured(below, self._hooks)
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
        hook, operation, place = self._place(origin)
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
        hook, operation, place = self._place(origin)
        why: ZeroKind = "satisfied"
        if not satisfied:
            why = (
                "hook"
                if hook
                else kind(origin.node, term=origin.term, zeros=origin.zeros, shape=shape)
            )
        return ev.ZeroMade(place, operation, self._members(leaves), site, why)

    def _place(self, origin: Origin) -> tuple[bool, str, Site | None]:
        """Whether it is a hook, what that or the operation is called, and where it stands."""
        hook = origin.hook or self._hooks.behind(origin.node)
        known = self._lines.of(origin.node) if hook is None else (hook.name, hook.place)
        if known is None:
            return False, bare(origin.node.name()).lower(), None
        operation, raw = known
        return hook is not None, operation, None if raw is None else self._sites.of(raw)
