"""A backward that fills ``.grad``: what is asked before it runs, and what is told when it has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import torch

from gradaudit.model import events as ev
from gradaudit.model.events import Members
from gradaudit.model.sites import Site
from gradaudit.observe.beginnings import Beginning, UnderWay
from gradaudit.observe.book import Book
from gradaudit.observe.graph import Below, below
from gradaudit.observe.leaves import connected, undispatched
from gradaudit.observe.magnitude import undisturbed
from gradaudit.observe.optimizers import Optimizers
from gradaudit.observe.probe import Probe
from gradaudit.observe.roots import Roots
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.watch import Watch


class Backwards:
    """The backwards of a run, one at a time: those inside another are part of it."""

    def __init__(
        self, watch: Watch, sites: SiteBook, probe: Probe, optimizers: Optimizers, book: Book
    ) -> None:
        self._watch = watch
        self._sites = sites
        self._probe = probe
        self._optimizers = optimizers
        self._book = book
        self._usual: dict[tuple[Site, bool, bool], UnderWay] = {}
        self._beginnings: dict[tuple[object, ...], Beginning] = {}
        self._parts: set[tuple[Site, Site]] = set()
        self.roots = Roots()

    def begins(
        self, roots: Sequence[Any], frame: FrameType, site: Site, *, closure: bool
    ) -> UnderWay:
        """It is about to run; ``closure`` is whether an optimizer has asked for it."""
        watch = self._watch
        scaled, again = self.roots.meet(roots, site)
        if self._probe.over and again is None and torch.is_grad_enabled():
            usual = self._usual.get((site, scaled, closure)) or self._as_always(
                site, scaled, closure
            )
            watch.backward_begins(usual.beginning)
            return usual
        untraced = self._probe.tracer.pause()
        tensors = [root for root in roots if isinstance(root, torch.Tensor)]
        root = meant = graph = None
        with undispatched():
            if watch.probing:
                graph = self._prepare(tensors, frame)
                meant = self._probe.meant.by(tensors)
                root = self._sites.root_text(frame)
            hopeless = _hopeless(tensors)
            made = self._probe.handiwork.origin(tensors[0])[0] if hopeless and tensors else None
        watch.backward_begins(None)
        grad_mode_off = None if torch.is_grad_enabled() else self._probe.switch(frame)
        return UnderWay(
            self._beginning(site, root, grad_mode_off, hopeless, made, scaled, again, closure),
            meant=meant,
            graph=graph,
            roots=() if graph is None else tensors,
            untraced=untraced,
        )

    def _as_always(self, site: Site, scaled: bool, closure: bool) -> UnderWay:
        """A backward about which there is nothing else to say, made once for all of its kind.

        Whether it is hopeless is asked only when it has failed, as a hopeless one does.
        """
        beginning = self._beginning(site, None, None, False, None, scaled, None, closure)
        known = self._usual[site, scaled, closure] = UnderWay(beginning, usual=True)
        return known

    def _beginning(self, *what: Any) -> Beginning:
        """The one object for backwards of which the same is known."""
        known = self._beginnings.get(what)
        if known is None:
            known = self._beginnings[what] = Beginning(*what)
        return known

    def _prepare(self, tensors: Sequence[torch.Tensor], frame: FrameType) -> Below:
        graph = below(tensors)
        for leaf in graph.tensors():
            self._watch.follow(leaf)
        self._optimizers.refresh_all()
        self._book.look_in_training(frame)
        return graph

    def ends(self, under_way: UnderWay, roots: Sequence[Any], *, failed: bool) -> None:
        """It has run."""
        beginning = under_way.beginning
        if failed:
            with undispatched():
                beginning = replace(beginning, hopeless=_hopeless(roots))
        deposited = self._watch.backward_ends(beginning, failed=failed)
        if under_way.meant is not None:
            self._probe.meant.tell_missed(
                under_way.beginning.site, under_way.meant, deposited, failed=failed
            )
        if under_way.graph is not None and not failed:
            with undispatched():
                self._tell_taken(under_way.graph, deposited)
                self._tell_part(under_way.graph, beginning.site)
        if not self._probe.over:
            self._probe.consider_ending()

    def _tell_part(self, graph: Below, site: Site) -> None:
        """Whether its root was made from one with a backward of its own; once for each place."""
        part = self.roots.part_of(graph)
        if part is not None and (site, part) not in self._parts:
            self._parts.add((site, part))
            self._watch.tell(ev.PartBefore(site, part))

    def _tell_taken(self, graph: Below, deposited: Members) -> None:
        """Which leaves it reached and left without gradient, because a hook takes that at once."""
        watch = self._watch
        taken = {
            watch.follow(leaf)
            for leaf in graph.tensors()
            if leaf.grad is None and leaf._post_accumulate_grad_hooks
        }
        taken -= deposited
        if taken:
            watch.tell(ev.Remembered(watch.leaves.members(taken)))
            self._probe.gap(
                "gradients that hooks take",
                "behind the backward nothing is left of them, and what "
                "register_post_accumulate_grad_hook does with them is not followed",
            )

    # -- the values of gradients, while the probe is on ------------------------------------------

    def hook(self, under_way: UnderWay) -> None:
        """Watch what its operations do to values, unless that would disturb somebody."""
        graph = under_way.graph
        if graph is not None and self._probe.following and undisturbed():
            numbers = {node: self._watch.follow(leaf) for node, leaf in graph.leaves.items()}
            under_way.hooked = self._probe.causes.begins(under_way.roots, graph, numbers)

    def unhook(self, under_way: UnderWay) -> float:
        """Take the hooks off; the seconds they took."""
        if under_way.hooked is None:
            return 0.0
        under_way.hooked.measured.unhook()
        return under_way.hooked.measured.seconds

    def tell_causes(self, under_way: UnderWay) -> None:
        """Which operations spoilt values."""
        if under_way.hooked is not None:
            for event in self._probe.causes.ends(under_way.hooked, under_way.beginning.site):
                self._watch.tell(event)


def _hopeless(roots: Sequence[Any]) -> bool:
    """Whether none of the roots requires grad."""
    return not any(connected(root) for root in roots if isinstance(root, torch.Tensor))
