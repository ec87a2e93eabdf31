"""``torch.compile``: under a function mode it captures other graphs (torch 2.13)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import torch

from gradaudit.observe.doors.arrivals import Arrivals
from gradaudit.observe.doors.stepping import SteppingDoor
from gradaudit.observe.dynamo import leave_our_code_alone
from gradaudit.observe.instruments import Instruments
from gradaudit.observe.patches import Hook, Patches


class CompilingDoor:
    """The probe stands aside from the first call on, and Dynamo leaves our code alone."""

    def __init__(
        self, instruments: Instruments, arrivals: Arrivals, stepping: SteppingDoor
    ) -> None:
        self._arrivals = arrivals
        self._care = instruments.care
        self._probe = instruments.probe
        self._stepping = stepping
        self._told = False

    def observe(self, patches: Patches) -> list[Hook]:
        """Hear of every call."""
        patches.replace(torch, "compile", self._compile(torch.compile, patches))
        return []

    def _compile(self, original: Callable[..., Any], patches: Patches) -> Callable[..., Any]:
        def compile(*args: Any, **kwargs: Any) -> Any:  # noqa: A001 - torch's own name
            if not self._arrivals.off:
                with self._care.inside("the dataflow"):
                    self._probe.stand_aside(
                        "torch.compile is used, and compiled regions must not be disturbed"
                    )
            compiled = original(*args, **kwargs)
            if not self._arrivals.off:
                with self._care.inside("torch.compile"):
                    self._leave_alone_once(patches)
            return compiled

        compile.__dict__.update(vars(original))
        compile.__doc__ = original.__doc__
        return compile

    def _leave_alone_once(self, patches: Patches) -> None:
        if not self._told:
            self._told = True
            leave_our_code_alone()
            if sys.version_info >= (3, 13):
                self._stepping.hide_from_dynamo(patches)
