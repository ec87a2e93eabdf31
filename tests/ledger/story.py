"""A training script told to a ledger, event by event, in the words the script itself would use."""

from __future__ import annotations

from functools import cache

from gradaudit.ledger.ledger import Ledger
from gradaudit.model import events as ev
from gradaudit.model.sites import Location, Site


@cache
def at(text: str) -> Site:
    """The one site of a line, named by its text."""
    return Site(Location("train.py", 1, source=text))


class Story:
    """Knows which leaves have a ``.grad``, and no more: all judgement is the ledger's."""

    def __init__(self, *leaves: int, frozen: tuple[int, ...] = ()) -> None:
        self.ledger = Ledger()
        self.filled: set[int] = set()
        self._owned: dict[int, frozenset[int]] = {}
        for leaf in leaves:
            self.born(leaf, frozen=leaf in frozen)

    def born(self, leaf: int, *, frozen: bool = False) -> None:
        self.ledger.feed(ev.LeafSeen(leaf, "parameter", not frozen))

    def optimizer(self, number: int, *leaves: int) -> None:
        self._owned[number] = frozenset(leaves)
        self.ledger.feed(ev.OptimizerSeen(number, at("optimizer"), frozenset(leaves)))

    def backward(self, *leaves: int, line: str = "backward", failed: bool = False) -> None:
        self.filled |= set(leaves)
        self.ledger.feed(ev.Backward(at(line), "loss", frozenset(leaves), failed))

    def zero(
        self, *leaves: int, line: str = "zero", by_hand: bool = False, to_none: bool = True
    ) -> None:
        targets = frozenset(leaves)
        held = frozenset(self.filled & targets)
        if not by_hand:
            self.ledger.feed(ev.ZeroGradCalled(at(line), targets))
        if held:
            self.ledger.feed(ev.Cleared(at(line), held, targets, by_hand, to_none))
        if to_none:
            self.filled -= targets

    def step(self, number: int = 0, line: str = "step") -> None:
        owned = self._owned[number]
        present = frozenset(owned & self.filled)
        self.ledger.feed(ev.Stepped(at(line), number, present, owned - present))

    def update(self, *leaves: int, line: str = "update") -> None:
        self.ledger.feed(ev.Updated(at(line), frozenset(leaves)))

    def read(self, *leaves: int, line: str = "read") -> None:
        self.ledger.feed(ev.GradRead(at(line), frozenset(leaves)))

    def assign(self, *leaves: int, line: str = "assign") -> None:
        self.filled |= set(leaves)
        self.ledger.feed(ev.Assigned(at(line), frozenset(leaves)))

    def rescale(self, *leaves: int, clipped: bool = False, line: str = "rescale") -> None:
        self.ledger.feed(ev.Rescaled(at(line), frozenset(leaves), clipped))

    def end(self) -> Ledger:
        self.ledger.close()
        return self.ledger

    def timeline(self, leaf: int) -> list[tuple[int, int, str, int]]:
        """The whole timeline; ends the run."""
        return [
            (run.first, run.last, run.state, run.contributions)
            for run in self.end().life(leaf).timeline
        ]
