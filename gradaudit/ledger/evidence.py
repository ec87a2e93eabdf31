"""What the probe found out about single leaves: the facts that explain a starving one."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradaudit.model.events import FreezeMisspelt, LeafKind, LossLeft, NoneRead, Replaced, Severed
from gradaudit.model.sites import Site

#: How many different cuts and reads are kept for one leaf; the first are the telling ones.
KEPT = 4


@dataclass(slots=True, eq=False)
class Evidence:
    """Facts about one leaf.

    ``frozen_at`` is where requires_grad was last switched off, ``refrozen`` how often that was done
    while it was off already; ``copy_of`` the leaf whose values it was made from; ``replaced`` what
    took its place in its module.  ``last_cut`` is the cut seen last, and in which iteration;
    ``times`` is how often each was seen, ``missed_by`` the backwards that did not get through;
    ``dead_end`` is where a value was made from it that was dropped.  ``asked`` are reads that only
    asked for a gradient.  ``fed_before`` ones had gradients before anybody looked, or where nobody
    looks.  ``bypassed`` ones were never used in the forward of a DistributedDataParallel, though
    processes train together.
    """

    kind: LeafKind
    requires_grad: bool
    created: Site | None = None
    frozen_at: Site | None = None
    refrozen: int = 0
    copy_of: int | None = None
    replaced: Replaced | None = None
    misspelt: FreezeMisspelt | None = None
    entered: Site | None = None
    exported: Site | None = None
    entered_under: tuple[Site, ...] = ()
    bypassed: bool = False
    made_under: tuple[Site, ...] = ()
    loss_left: LossLeft | None = None
    dead_end: Site | None = None
    severed: list[Severed] = field(default_factory=list)
    times: dict[Site, int] = field(default_factory=dict)
    missed_by: set[Site] = field(default_factory=set)
    none_reads: list[NoneRead] = field(default_factory=list)
    asked: list[NoneRead] = field(default_factory=list)
    last_cut: tuple[int, Severed] | None = None
    fed_before: bool = False

    def sever(self, cut: Severed, iteration: int) -> None:
        """Keep a cut, unless the same place is known already, of the same backward."""
        self.last_cut = (iteration, cut)
        self.missed_by.add(cut.backward)
        self.times[cut.site] = self.times.get(cut.site, 0) + 1
        for index, known in enumerate(self.severed):
            if known.site is cut.site and known.backward is cut.backward:
                if known.guessed and not cut.guessed:
                    self.severed[index] = cut
                return
        if len(self.severed) < KEPT:
            self.severed.append(cut)

    def read_none(self, read: NoneRead) -> None:
        """Keep a read that found None, unless the same place is known already."""
        kept = self.asked if read.asking else self.none_reads
        if len(kept) < KEPT and all(read.site is not known.site for known in kept):
            kept.append(read)
