"""Which operation's backward, or which hook, made NaN, Inf or exact zeros: told of the probe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import torch

from gradaudit.model import events as ev
from gradaudit.model.events import Event, Members, Spoiler, ZeroKind
from gradaudit.model.sites import Site
from gradaudit.observe.flatness import CONSTANT, bare, kind
from gradaudit.observe.forward import Forward
from gradaudit.observe.graph import Below
from gradaudit.observe.hooks import Hooks
from gradaudit.observe.lines import Lines, spoken
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
    roots: Sequence[torch.Tensor]
    losses: list[Any]


@dataclass(frozen=True, slots=True)
class _Spoilt:
    """What spoilt gradients, as it is told."""

    site: Site | None
    operation: str
    by: Spoiler
    leaf: int | None = None


class Causes:
    """Tells which operations spoilt gradients.

    Whatever leaves it names are ``told`` to the ledger first.
    """

    def __init__(
        self,
        lines: Lines,
        hooks: Hooks,
        sites: SiteBook,
        told: Callable[[Iterable[int]], Members],
        forward: Forward,
    ) -> None:
        self._lines = lines
        self._hooks = hooks
        self._sites = sites
        self._told = told
        self._forward = forward

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
        return Backward(measured, numbers, roots, losses)

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
        spoilt: dict[_Spoilt, set[int]] = {}
        zeroed: dict[Origin, set[int]] = {}
        for node, each in arrived.items():
            if each.spoilt_by is not None:
                by = self._spoilt(backward.roots, each.spoilt_by)
                spoilt.setdefault(by, set()).add(backward.numbers[node])
            if each.some and each.zero:
                for origin in each.zeroed_by:
                    zeroed.setdefault(origin, set()).add(backward.numbers[node])
        return [
            *(
                ev.NonfiniteMade(
                    by.site, by.operation, self._told(leaves), site, finite, by.by, by.leaf
                )
                for by, leaves in spoilt.items()
            ),
            *(
                self._zero(
                    origin, leaves, site, backward.measured.shape(origin.node), satisfied=satisfied
                )
                for origin, leaves in zeroed.items()
            ),
        ]

    def _spoilt(self, roots: Sequence[torch.Tensor], origin: Origin) -> _Spoilt:
        hook, operation, place = self._place(origin)
        if hook:
            return _Spoilt(place, operation, "hook")
        birth = self._forward.behind(roots, origin.node)
        if birth is None:
            return _Spoilt(place, operation, "backward")
        if birth.leaf is not None:
            self._told((birth.leaf,))
        raw = birth.node.site
        place = None if raw is None else self._sites.of(raw)
        return _Spoilt(place, spoken(birth.node.operation), birth.by, birth.leaf)

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
        why: ZeroKind = (
            "hook" if hook else kind(origin.node, term=origin.term, zeros=origin.zeros, shape=shape)
        )
        if satisfied and why not in CONSTANT:
            why = "satisfied"
        return ev.ZeroMade(place, operation, self._told(leaves), site, why)

    def _place(self, origin: Origin) -> tuple[bool, str, Site | None]:
        """Whether it is a hook, what that or the operation is called, and where it stands."""
        hook = origin.hook or self._hooks.behind(origin.node)
        known = self._lines.of(origin.node) if hook is None else (hook.name, hook.place)
        if known is None:
            return False, bare(origin.node.name()).lower(), None
        operation, raw = known
        return hook is not None, operation, None if raw is None else self._sites.of(raw)
