"""What the probe found out about single leaves: the facts that explain a starving one."""

from __future__ import annotations

from dataclasses import dataclass, field

from gradaudit.model.events import FreezeMisspelt, LeafKind, NoneRead, Severed
from gradaudit.model.sites import Site

#: How many different cuts and reads are kept for one leaf; the first are the telling ones.
KEPT = 4


@dataclass(slots=True, eq=False)
class Evidence:
    """Facts about one leaf.  ``frozen_at`` is where requires_grad was last switched off."""

    kind: LeafKind
    requires_grad: bool
    created: Site | None = None
    frozen_at: Site | None = None
    thawed_at: Site | None = None
    misspelt: FreezeMisspelt | None = None
    entered: Site | None = None
    loss_left: Site | None = None
    severed: list[Severed] = field(default_factory=list)
    none_reads: list[NoneRead] = field(default_factory=list)

    def sever(self, cut: Severed) -> None:
        """Keep a cut, unless the same place is known already."""
        if len(self.severed) < KEPT and all(cut.site is not known.site for known in self.severed):
            self.severed.append(cut)

    def read_none(self, read: NoneRead) -> None:
        """Keep a read that found None, unless the same place is known already."""
        if len(self.none_reads) < KEPT and all(
            read.site is not known.site for known in self.none_reads
        ):
            self.none_reads.append(read)
