"""Several processes training one model: which rank this is, and what is kept equal on all of them.

Looked at in probed backwards only, while the wrapper lives: in a function of the user's it is gone
when the run is over.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable
from math import isfinite
from types import FrameType
from typing import Any

import torch
from torch import distributed
from torch.nn.modules.module import register_module_module_registration_hook
from torch.nn.parallel import DistributedDataParallel
from torch.utils.hooks import RemovableHandle

from gradaudit.observe.leaves import Leaves, strong
from gradaudit.observe.magnitude import Fetched, measurable, undisturbed

_FORWARD = DistributedDataParallel.forward.__code__


class Replicas:
    """The wrappers of this process, and its rank in the default group."""

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._wrappers: list[weakref.ref[DistributedDataParallel]] = []
        self._weighed: list[tuple[int, list[int], Fetched]] = []
        self.rank: tuple[int, int] | None = None

    def watch(self) -> RemovableHandle:
        """Hear of every wrapper as it takes its module in; the hook to be removed later."""

        def nested(module: torch.nn.Module, name: str, child: torch.nn.Module | None) -> None:
            del child
            if name == "module" and isinstance(module, DistributedDataParallel):
                self._wrappers.append(weakref.ref(module))

        return register_module_module_registration_hook(nested)

    def look(self) -> bool:
        """Ask torch for the rank, and the wrappers for their parameters; whether there are any."""
        if not distributed.is_available() or not distributed.is_initialized():
            return bool(self._wrappers)
        self.rank = distributed.get_rank(), distributed.get_world_size()
        for reference in self._wrappers:
            wrapper = reference()
            if wrapper is not None:
                synchronised = _synchronises(wrapper)
                for parameter in _parameters(wrapper):
                    leaf = self._leaves.find(parameter)
                    if leaf is not None:
                        leaf.replicated = synchronised
        return bool(self._wrappers)

    def weigh(self, members: Iterable[int], iteration: int) -> None:
        """Measure the parameters themselves, in the iterations that all ranks sample."""
        if not self._wrappers or iteration & (iteration - 1) or not undisturbed():
            return
        groups: dict[tuple[torch.device, torch.dtype], dict[int, torch.Tensor]] = {}
        for number in members:
            tensor = strong(self._leaves[number].reference)
            if tensor is not None and self._leaves[number].replicated and measurable(tensor):
                groups.setdefault((tensor.device, tensor.dtype), {})[number] = tensor.detach()
        for found in groups.values():
            norms = Fetched(torch._foreach_norm(list(found.values()), 2))
            self._weighed.append((iteration, list(found), norms))

    def weights(self) -> dict[int, dict[int, float]]:
        """By leaf, the norms of its values by iteration: waited for, so not while it trains."""
        weights: dict[int, dict[int, float]] = {}
        for iteration, numbers, norms in self._weighed:
            for number, norm in zip(numbers, norms.take(), strict=True):
                if isfinite(norm):
                    weights.setdefault(number, {})[iteration] = norm
        return weights


def bypassing(frame: FrameType | None) -> bool:
    """Whether there are other processes, and no wrapper's forward is on the stack.

    Only what it was called for is averaged in the backward.
    """
    if not distributed.is_available() or not distributed.is_initialized():
        return False
    while frame is not None:
        if frame.f_code is _FORWARD:
            return False
        frame = frame.f_back
    return True


def _parameters(wrapper: DistributedDataParallel) -> list[torch.Tensor]:
    """Those it synchronises: without the ones it was told to ignore (torch 2.4 to 2.13)."""
    attributes: dict[str, Any] = wrapper.__dict__
    parameters: list[torch.Tensor] = attributes.get("_module_parameters", [])
    return parameters


def _synchronises(wrapper: DistributedDataParallel) -> bool:
    """Whether it averages all gradients over all ranks.

    Hooks may do otherwise, uneven inputs do, and a smaller group has other parts of the model in
    the other ranks.
    """
    attributes: dict[str, Any] = wrapper.__dict__
    uneven = getattr(attributes.get("_join_config"), "enable", False)
    everyone = distributed.get_world_size(attributes.get("process_group"))
    return (
        not attributes.get("_comm_hooks")
        and not uneven
        and everyone == distributed.get_world_size()
    )
