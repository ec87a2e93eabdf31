"""The values of all leaves' gradients, as samples and spoiling operations are told."""

from __future__ import annotations

from gradaudit.ledger.values import NO_VALUES, Strides, Values
from gradaudit.model import events as ev
from gradaudit.model.events import Members


class Samples:
    """Values by leaf."""

    def __init__(self) -> None:
        #: the iterations of which values are known
        self.iterations = Strides()
        self._of: dict[int, Values] = {}
        #: leaves whose gradient is NaN or Inf at this moment, as far as anybody saw
        self._spoilt: set[int] = set()

    def __getitem__(self, leaf: int) -> Values:
        """What is known of a leaf; not to be changed by the asker."""
        return self._of.get(leaf, NO_VALUES)

    def _values(self, leaf: int) -> Values:
        known = self._of.get(leaf)
        if known is None:
            known = self._of[leaf] = Values()
        return known

    def sampled(self, event: ev.Sampled) -> None:
        """What a step was given was measured."""
        self.iterations.add(event.iteration)
        for leaf, norm in zip(event.leaves, event.norms, strict=True):
            self._values(leaf).sample(
                event.iteration, norm, zero=leaf in event.zero, nonfinite=leaf in event.nonfinite
            )

    def nonfinite_made(self, event: ev.NonfiniteMade, iteration: int) -> None:
        """An operation made NaN or Inf of their gradients."""
        for leaf in event.members:
            self._values(leaf).spoil(event, iteration)
        self._spoilt |= event.members

    def zero_made(self, event: ev.ZeroMade) -> None:
        """An operation made zeros of their gradients."""
        for leaf in event.members:
            self._values(leaf).flatten(event)

    def changed(self, members: Members) -> None:
        """Their gradients were cleared or rescaled: nobody has looked what they are now."""
        self._spoilt -= members

    def used(self, members: Members, iteration: int) -> None:
        """An update by hand has used their gradients."""
        for leaf in self._spoilt & members:
            self._values(leaf).use(iteration)
