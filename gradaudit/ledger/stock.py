"""What a gradient holds: contributions, each with the backward it came from."""

from __future__ import annotations

from gradaudit.model.sites import Site

#: How many entries one gradient keeps apart; beyond them those of one site are merged.
KEPT = 8


class Entry:
    """Contributions of one backward, or of several in a row from the same place.

    ``first`` and ``last`` number the backwards.  ``evaluating`` ones came while the modules were
    in eval mode, ``scaled`` ones from a loss that a GradScaler had scaled; ``again`` is where the
    same root had been backpropagated before.  ``read`` is whether the user's code looked at the
    gradient while this was the latest in it.
    """

    __slots__ = ("again", "count", "evaluating", "first", "last", "read", "scaled", "site")

    def __init__(
        self, site: Site, number: int, *, evaluating: bool, scaled: bool, again: Site | None
    ) -> None:
        self.site = site
        self.first = self.last = number
        self.count = 1
        self.evaluating = evaluating
        self.scaled = scaled
        self.again = again
        self.read = False

    def copy(self) -> Entry:
        """An equal entry that goes on by itself."""
        other = object.__new__(Entry)
        for name in Entry.__slots__:
            setattr(other, name, getattr(self, name))
        return other

    def takes(self, new: Entry) -> bool:
        """Whether another contribution may be counted here."""
        return (
            new.site is self.site
            and new.again is None
            and new.evaluating == self.evaluating
            and new.scaled == self.scaled
        )

    def add(self, new: Entry) -> None:
        """Count another contribution here."""
        self.count += 1
        self.last = new.last
        self.read = False


def put(stock: list[Entry], new: Entry) -> None:
    """Add a contribution to what a gradient holds."""
    if stock and stock[-1].takes(new):
        stock[-1].add(new)
        return
    if len(stock) >= KEPT:
        for entry in stock:
            if entry.takes(new):
                entry.add(new)
                return
    stock.append(new)
