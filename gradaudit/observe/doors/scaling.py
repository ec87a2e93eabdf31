"""Gradient scaling."""

from __future__ import annotations

from types import FrameType

from torch.optim import Optimizer

from gradaudit.observe.amp import tensors_of, watch_scaling
from gradaudit.observe.doors.arrivals import Arrivals
from gradaudit.observe.instruments import Instruments
from gradaudit.observe.leaves import undispatched
from gradaudit.observe.patches import Hook, Patches


class ScalingDoor:
    """The :class:`gradaudit.observe.amp.ScalingListener` of a run."""

    def __init__(self, instruments: Instruments, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._roots = instruments.backwards.roots
        self._care = instruments.care
        self._sites = instruments.sites
        self._watch = instruments.watch
        self._optimizers = instruments.optimizers

    def observe(self, patches: Patches) -> list[Hook]:
        """Hear of both."""
        watch_scaling(patches, self)
        return []

    def scaled(self, outputs: object, results: object) -> None:
        """A loss, or several, were scaled: these became those."""
        with self._care.inside("the scaling of a loss"):
            if self._arrivals.ours():
                self._roots.note_scaled(tensors_of(outputs), tensors_of(results))

    def unscaled(self, optimizer: Optimizer, frame: FrameType) -> None:
        """The gradients of an optimizer were divided by the scale."""
        with self._care.inside("the unscaling of gradients"), undispatched():
            site = self._sites.here(frame) if self._arrivals.ours() else None
            if site is not None:
                known = self._optimizers.find(optimizer)
                self._watch.point(("unscale", site, known.number))
                self._watch.unscaled(site, known.members)
