"""Parameters as modules register them: where each was made, and by which module."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType

import torch
from torch.nn.modules.module import register_module_parameter_registration_hook
from torch.utils.hooks import RemovableHandle


def watch_registrations(
    registered: Callable[[torch.nn.Module, str, torch.Tensor, FrameType], None],
) -> list[RemovableHandle]:
    """Tell of every parameter that a module takes in; the hooks to be removed later."""

    def hook(module: torch.nn.Module, name: str, parameter: torch.Tensor | None) -> None:
        if parameter is not None:
            registered(module, name, parameter, sys._getframe(1))

    return [register_module_parameter_registration_hook(hook)]
