"""The evidence of all leaves, and of the tensors that are none, as events bring it."""

from __future__ import annotations

from gradaudit.ledger.evidence import KEPT, Evidence
from gradaudit.model import events as ev
from gradaudit.model.sites import Site


class Testimony(dict[int, Evidence]):
    """Evidence by leaf; one method for each event that is nothing but evidence."""

    def __init__(self) -> None:
        super().__init__()
        #: reads of None from tensors that are no leaves
        self.non_leaf_reads: list[ev.NoneRead] = []
        #: where gradients were read, or asked for, and one was there
        self.found: set[Site] = set()

    def leaf_seen(self, event: ev.LeafSeen) -> bool:
        """A leaf was heard of; False if it is known already."""
        if event.leaf in self:
            return False
        self[event.leaf] = Evidence(
            event.kind,
            event.requires_grad,
            event.created,
            event.frozen_at,
            copy_of=event.copy_of,
            made_under=event.made_under,
            fed_before=event.holding,
        )
        return True

    def declared(self, event: ev.Declared) -> None:
        """Where it was made has turned out later."""
        known = self[event.leaf]
        known.created, known.made_under = event.created, event.made_under

    def remembered(self, event: ev.Remembered) -> None:
        """An optimizer's state tells that they had gradients before."""
        for leaf in event.members:
            self[leaf].fed_before = True

    def replaced(self, event: ev.Replaced) -> None:
        """Something else has taken its place."""
        self[event.leaf].replaced = event

    def requires_grad_set(self, event: ev.RequiresGradSet) -> None:
        """They were frozen or thawed."""
        for leaf in event.members:
            known = self[leaf]
            known.refrozen += not event.value and not known.requires_grad
            known.requires_grad = event.value
            if not event.value:
                known.frozen_at = event.site

    def freeze_misspelt(self, event: ev.FreezeMisspelt) -> None:
        """An attribute that nothing reads was meant to freeze or thaw them."""
        for leaf in event.members:
            self[leaf].misspelt = event

    def none_read(self, event: ev.NoneRead, backward: Site | None) -> None:
        """The user's code found None; ``backward`` was the last, called for this read perhaps."""
        if event.leaf is not None:
            known = self[event.leaf]
            known.read_none(event)
            if event.reason == "requires-grad-missing" and backward is not None:
                known.missed_by.add(backward)
        elif len(self.non_leaf_reads) < 8 * KEPT and all(
            (event.site, event.subject) != (known.site, known.subject)
            for known in self.non_leaf_reads
        ):
            self.non_leaf_reads.append(event)

    def grad_found(self, event: ev.GradFound) -> None:
        """The user's code found a gradient."""
        self.found.add(event.site)

    def entered(self, event: ev.Entered) -> None:
        """They took part in an operation; the first is kept."""
        for leaf in event.members:
            known = self[leaf]
            if known.entered is None:
                known.entered, known.entered_under = event.site, event.under
            known.bypassed = event.bypassed

    def exported(self, event: ev.Exported) -> None:
        """Their values were handed to Python; the first place is kept."""
        for leaf in event.members:
            known = self[leaf]
            known.exported = known.exported or event.site

    def severed(self, event: ev.Severed, iteration: int) -> None:
        """What was made of them was cut from the graph."""
        for leaf in event.members:
            self[leaf].sever(event, iteration)

    def loss_left(self, event: ev.LossLeft) -> None:
        """A scalar made of them could have been backpropagated, and was not."""
        for leaf in event.members:
            self[leaf].loss_left = event

    def dead_end(self, event: ev.DeadEnd) -> None:
        """A value that was made of them was dropped; the first is kept."""
        for leaf in event.members:
            known = self[leaf]
            known.dead_end = known.dead_end or event.site
