"""Parameters and modules as modules take them in: where each was made, and what it replaces."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType

import torch
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.utils.hooks import RemovableHandle


def watch_registrations(
    registered: Callable[[torch.nn.Module, str, torch.Tensor, FrameType], None],
    nested: Callable[[torch.nn.Module, str, torch.nn.Module | None, FrameType], None],
) -> list[RemovableHandle]:
    """Tell of every parameter and module that a module takes in; the hooks to be removed later.

    They are called before the module has taken it in (torch 2.13).
    """

    def parameter_hook(module: torch.nn.Module, name: str, parameter: torch.Tensor | None) -> None:
        if parameter is not None and not torch.compiler.is_dynamo_compiling():
            registered(module, name, parameter, sys._getframe(1))

    def module_hook(module: torch.nn.Module, name: str, child: torch.nn.Module | None) -> None:
        if torch.compiler.is_dynamo_compiling():
            return
        if name in module.__dict__.get("_modules", ()):
            nested(module, name, child, sys._getframe(1))

    return [
        register_module_parameter_registration_hook(parameter_hook),
        register_module_module_registration_hook(module_hook),
    ]


def replaced(
    owner: torch.nn.Module, name: str, new: torch.Tensor | torch.nn.Module | None
) -> Iterator[tuple[torch.Tensor, torch.Tensor | None]]:
    """The parameters that ``owner`` loses when ``new`` takes its place, and those it gets instead.

    A module that wraps the old one keeps its parameters: they are not replaced.
    """
    if isinstance(new, torch.Tensor):
        old = owner.__dict__.get("_parameters", {}).get(name)
        if old is not None and old is not new:
            yield old, new
        return
    before = owner.__dict__.get("_modules", {}).get(name)
    if before is None:
        return
    heirs = {} if new is None else dict(new.named_parameters())
    kept = {id(parameter) for parameter in heirs.values()}
    for path, parameter in before.named_parameters():
        if id(parameter) not in kept:
            yield parameter, heirs.get(path)
