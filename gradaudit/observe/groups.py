"""What is sent between processes carries no function mode of ours.

Work that was begun keeps the function modes of that moment until it is done and forgotten, and the
thread that forgets it needs the GIL for that.  A process group that ends joins this thread, and may
hold the GIL meanwhile: the two would wait for each other for ever (gloo, torch 2.13).  So the
probe pauses wherever work is begun; backwards that begin some see to it themselves.

Torch does that to itself as well: a backward keeps the context of Python in the same way, and about
one in ten of the groups of two processes that trained, met at a barrier and parted hung for ever,
without any audit (gloo, torch 2.13).  A moment without the GIL ahead of the end lets that pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from time import sleep

import torch
from torch import distributed

from gradaudit.observe.patches import Patches, between

#: Methods of process groups and of their backends, of all versions since torch 2.4.
_BEGIN = (
    "all_gather_single",
    "all_gather_single_coalesced",
    "all_to_all_single",
    "allgather",
    "_allgather_base",
    "allgather_coalesced",
    "allgather_into_tensor_coalesced",
    "allreduce",
    "allreduce_coalesced",
    "alltoall",
    "alltoall_base",
    "barrier",
    "broadcast",
    "_end_coalescing",
    "gather",
    "monitored_barrier",
    "recv",
    "recv_anysource",
    "reduce",
    "reduce_scatter",
    "_reduce_scatter_base",
    "reduce_scatter_single",
    "reduce_scatter_single_coalesced",
    "reduce_scatter_tensor_coalesced",
    "scatter",
    "send",
)

#: How long the threads of a process group have for forgetting (seconds); they need some 1e-4.
_FORGETTING = 0.02


def send_no_mode(patches: Patches, pause: Callable[[], None], go_on: Callable[[], None]) -> None:
    """Have the probe paused where a process begins work together with others."""
    if not distributed.is_available():
        return
    for owner, name in _doors():
        if name in vars(owner):
            patches.replace(owner, name, between(vars(owner)[name], pause, go_on))


def let_groups_end(patches: Patches) -> None:
    """Let the threads of a process group forget their work before it is destroyed."""
    if not distributed.is_available():
        return
    original = distributed.destroy_process_group
    for owner in (distributed, distributed.distributed_c10d):
        patches.replace(
            owner, "destroy_process_group", between(original, lambda: sleep(_FORGETTING), _nothing)
        )


def _nothing() -> None:
    """What is to be done when it is over."""


def _doors() -> Iterator[tuple[object, str]]:
    c10d = torch._C._distributed_c10d
    for owner in (c10d.ProcessGroup, c10d.Backend):
        for name in _BEGIN:
            yield owner, name
    yield c10d.Reducer, "_rebuild_buckets"
    yield distributed, "_broadcast_coalesced"  # buffers and initial values, in DDP and in FSDP
    yield distributed, "_verify_params_across_processes"
