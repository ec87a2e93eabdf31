"""What was meant to reach the leaves, by the dataflow, and did not: told where it is known."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from gradaudit.model import events as ev
from gradaudit.model.events import Members
from gradaudit.model.sites import Site
from gradaudit.observe.entries import Entry
from gradaudit.observe.flow import Ancestry, Cut, leaves_of
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.watch import Watch


class Meant:
    """Compares what values were made from with what backwards reach."""

    def __init__(self, watch: Watch, nodes: Nodes, sites: SiteBook) -> None:
        self._watch = watch
        self._nodes = nodes
        self._sites = sites

    # -- between backwards ---------------------------------------------------------------------

    def tell_entered(self) -> None:
        """Which leaves took part in operations since the last time, or were handed to Python."""
        by_entry: dict[Entry, set[int]] = {}
        for leaf, entry in self._nodes.entered.take():
            by_entry.setdefault(entry, set()).add(leaf)
        for entry, leaves in by_entry.items():
            site, *under = map(self._sites.of, entry.stack)
            members = self._watch.leaves.told(leaves)
            self._watch.tell(ev.Entered(site, members, tuple(under), entry.bypassed))
        for leaf, raw in self._nodes.exports.take_leaves():
            if leaf not in self._nodes.entered:
                self._watch.tell(ev.Exported(self._sites.of(raw), self._watch.leaves.told({leaf})))

    def tell_last_entered(self) -> None:
        """As ``tell_entered``, at the end: what came behind all backwards was no training."""
        if self._watch.ledger.backward_calls:
            self._nodes.entered.take()
        else:
            self.tell_entered()

    def forgive(self) -> None:
        """See :meth:`gradaudit.observe.nodes.Nodes.forgive`."""
        self._nodes.forgive()

    def tell_left(self) -> None:
        """Which scalars could have been backpropagated and were not, and what else led nowhere."""
        told = self._watch.leaves.told
        for site, leaves, shown in self._nodes.losses_left():
            self._watch.tell(ev.LossLeft(site, told(leaves), shown))
        for site, dropped in self._nodes.dead_ends(self._unfed):
            self._watch.tell(ev.DeadEnd(site, told(dropped)))

    def _unfed(self) -> set[int]:
        """Leaves that took part in something, and that no backward has reached."""
        leaves, ledger = self._watch.leaves, self._watch.ledger
        return {
            number
            for number in self._nodes.entered
            if number in leaves and not (leaves[number].told and ledger.life(number).deposited)
        }

    # -- backwards -----------------------------------------------------------------------------

    def by(self, roots: Iterable[torch.Tensor]) -> Ancestry:
        """What the roots of a backward were made from."""
        nodes = [self._nodes.source(root) for root in roots]
        for node in nodes:
            node.spent = True
        return self._nodes.ancestry(nodes)

    def tell_missed(self, site: Site, meant: Ancestry, deposited: Members, *, failed: bool) -> None:
        """Which leaves the roots were made from and the backward did not reach."""
        self.tell_entered()
        for cut in meant.cuts:
            self._tell_cut(site, cut, cut.leaves - deposited)
        if not failed:  # else nothing is known of what it would have reached
            self._tell_blocked(site, meant, deposited)

    def _tell_cut(self, site: Site, cut: Cut, leaves: frozenset[int]) -> None:
        raw = cut.node.site
        if not leaves or raw is None:
            return
        produced = cut.produced.site if cut.produced is not None else None
        place, switch = self._sites.of(raw), cut.node.switch
        self._watch.tell(
            ev.Severed(
                place,
                cut.node.operation,
                cut.node.cut,
                self._watch.leaves.told(leaves),
                site,
                switch,
                None if produced is None else self._sites.of(produced),
                cut.guessed,
                self._sites.scheduled(place)
                or (switch is not None and self._sites.scheduled(switch)),
            )
        )

    def _tell_blocked(self, site: Site, meant: Ancestry, deposited: Members) -> None:
        """Leaves that the graph connects through a custom function, and that got nothing."""
        cut_off = frozenset(leaf for cut in meant.cuts for leaf in cut.leaves)
        for node in meant.functions:
            leaves = leaves_of((node,)) - deposited - cut_off
            if leaves and node.site is not None:
                place, told = self._sites.of(node.site), self._watch.leaves.told(leaves)
                self._watch.tell(ev.Severed(place, node.operation, "blocked", told, site))
