"""Tracers of torch's own, which have to see calls as they are: the probe stands aside for them.

``torch.jit.trace`` names values by the variables of the frame that made them, which under a
function mode would be ours, and then refuses the trace (torch 2.13); ``torch.export`` keeps in a
graph whatever is called.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.export
import torch.jit._trace

from gradaudit.observe.patches import Patches, without_this_frame

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
        patches.replace(owner, name, _aside(vars(owner)[name], pause, go_on))


def _aside(
    original: Callable[..., Any], pause: Callable[[], None], go_on: Callable[[], None]
) -> Callable[..., Any]:
    @functools.wraps(original)
    def trace(*args: Any, **kwargs: Any) -> Any:
        pause()
        try:
            return original(*args, **kwargs)
        except BaseException as error:
            without_this_frame(error)
            raise
        finally:
            go_on()

    return trace
