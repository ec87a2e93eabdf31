"""What modules take in: where each parameter was made, and what it replaces."""

from __future__ import annotations

import weakref
from types import FrameType

import torch

from gradaudit.observe.doors.arrivals import Arrivals
from gradaudit.observe.instruments import Instruments
from gradaudit.observe.leaves import undispatched
from gradaudit.observe.modules import replaced, watch_registrations
from gradaudit.observe.patches import Hook, Patches


class RegistrationDoor:
    """Hears of parameters and modules, whichever thread makes them."""

    def __init__(self, instruments: Instruments, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._care = instruments.care
        self._sites = instruments.sites
        self._watch = instruments.watch

    def observe(self, patches: Patches) -> list[Hook]:
        """Hear of both, by hooks of torch's own."""
        del patches
        return list(watch_registrations(self.registered, self.nested))

    def registered(
        self, module: torch.nn.Module, name: str, parameter: torch.Tensor, frame: FrameType
    ) -> None:
        """A module takes in a parameter."""
        if self._arrivals.off:
            return
        with self._care.inside("the registration of a parameter"), undispatched():
            self._watch.registered()
            leaves = self._watch.leaves
            site = self._sites.here(frame)
            leaf = leaves.learn(parameter, site)
            if leaf.owner is None:
                leaf.owner, leaf.attribute = type(module).__name__, name
                leaf.module = weakref.ref(module)
                leaf.by_library = self._sites.through_library(frame)
                stack = self._sites.raw_stack(frame)
                leaf.made_under = tuple(map(self._sites.of, stack[1:]))
            for old, _ in replaced(module, name, parameter):
                leaves.replace(leaves.learn(old), leaf, site)

    def nested(
        self, module: torch.nn.Module, name: str, child: torch.nn.Module | None, frame: FrameType
    ) -> None:
        """A module takes in another where it had one."""
        if self._arrivals.off:
            return
        with self._care.inside("the registration of a module"), undispatched():
            self._watch.registered()
            leaves = self._watch.leaves
            for old, new in replaced(module, name, child):
                heir = None if new is None else leaves.learn(new)
                leaves.replace(leaves.learn(old), heir, self._sites.here(frame))
