"""Real torch functions, as they reach ``__torch_function__``."""

from __future__ import annotations

import operator
from collections.abc import Callable

import pytest
import torch
from torch.overrides import TorchFunctionMode

from gradaudit.observe.operations import Operation, classify


class Names(TorchFunctionMode):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Operation] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        self.seen.append(classify(func))
        return func(*args, **(kwargs or {}))


def operations(deed: Callable[[torch.Tensor], object]) -> list[Operation]:
    tensor = torch.ones(2, 2, requires_grad=True)
    result = tensor * 2
    result.retain_grad()
    result.sum().backward(retain_graph=True)
    with Names() as names:
        deed(result)
    return names.seen


@pytest.mark.parametrize(
    ("deed", "expected"),
    [
        (lambda t: t + 1, ("add", "plain")),
        (lambda t: t @ t, ("matmul", "plain")),
        (torch.argmax, ("argmax", "plain")),
        (torch.nn.functional.relu, ("relu", "plain")),
        (lambda t: t.clone(), ("clone", "plain")),
        (torch.zeros_like, ("zeros_like", "like")),
        (lambda t: t.new_zeros(3), ("new_zeros", "like")),
        (lambda t: t.detach(), ("detach", "detach")),
        (torch.as_tensor, ("as_tensor", "detach")),
        (lambda t: t.view(4), ("view", "view")),
        (lambda t: t[0], ("__getitem__", "view")),
        (lambda t: t.T, ("T", "view")),
        (lambda t: t.unsqueeze(0), ("unsqueeze", "view")),
        (lambda t: t.sum().item(), ("item", "export")),
        (lambda t: t.tolist(), ("tolist", "export")),
        (lambda t: float(t.detach().sum()), ("__float__", "export")),
        (lambda t: t.add_(1), ("add_", "in-place")),
        (lambda t: operator.imul(t, 2), ("mul_", "in-place")),
        (lambda t: t.detach_(), ("detach_", "in-place")),
        (lambda t: operator.setitem(t, 0, 1.0), ("__setitem__", "set-item")),
        (lambda t: t.grad, ("grad", "get")),
        (lambda t: t.data, ("data", "get")),
        (lambda t: t.shape, ("shape", "get")),
        (lambda t: setattr(t, "grad", None), ("grad", "set")),
        (lambda t: setattr(t, "data", torch.ones(2, 2)), ("data", "set")),
        (lambda t: delattr(t, "grad"), ("grad", "delete")),
        (lambda t: t.requires_grad_(), ("requires_grad_", "requires-grad")),
        (lambda t: (t + 1).sum().backward(retain_graph=True), ("backward", "quiet")),
        (lambda t: t.register_hook(print), ("register_hook", "hook")),
        (lambda t: torch.autograd.grad(t.sum(), t), ("grad", "differentiation")),
        (lambda t: t.size(), ("size", "quiet")),
        (repr, ("__repr__", "show")),
        (lambda t: torch._foreach_add_([t], 1.0), ("_foreach_add_", "foreach-in-place")),
        (lambda t: torch._foreach_add([t], 1.0), ("_foreach_add", "plain")),
    ],
)
def test_what_a_function_does_to_gradients(
    deed: Callable[[torch.Tensor], object], expected: tuple[str, str]
):
    assert Operation(*expected) in operations(deed)  # type: ignore[arg-type]


def test_requires_grad_of_a_leaf_is_a_property():
    leaf = torch.ones(1)
    with Names() as names:
        leaf.requires_grad = True
    assert names.seen == [Operation("requires_grad", "set")]


def test_the_operators_behind_in_place_assignments_are_known():
    for name in ("__iadd__", "__isub__", "__imul__", "__itruediv__", "__ipow__"):
        assert classify(getattr(torch.Tensor, name)).kind == "in-place"


def test_the_switch_of_grad_mode_is_known():
    assert classify(torch._C._set_grad_enabled).kind == "grad-mode"


def test_initialisers_change_their_first_argument():
    assert classify(torch.nn.init.zeros_) == Operation("zeros_", "in-place")
    assert classify(torch.nn.init.calculate_gain).kind == "in-place"


def test_what_has_no_name_goes_by_its_type():
    class Callee:
        def __call__(self) -> None:
            raise NotImplementedError

    assert classify(Callee()) == Operation("Callee", "plain")
