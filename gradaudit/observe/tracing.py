"""Tracers of torch's own, which have to see calls as they are: the probe stands aside for them.

``torch.jit.trace`` names values by the variables of the frame that made them, which under a
function mode would be ours, and then refuses the trace (torch 2.13); ``torch.export`` keeps in a
graph whatever is called.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.export
import torch.jit._trace

from gradaudit.observe.patches import Patches, between

_TRACERS = (
    *(
        (owner, name)
        for owner in (torch.jit, torch.jit._trace)
        for name in ("trace", "trace_module", "_get_trace_graph")
    ),
    (torch.export, "export"),
)


def let_tracers_be(patches: Patches, pause: Callable[[], None], go_on: Callable[[], None]) -> None:
    """Have the probe paused while one of them runs."""
    for owner, name in _TRACERS:
        patches.replace(owner, name, between(vars(owner)[name], pause, go_on))
