from __future__ import annotations

import functools

import pytest
import torch
from torch import nn

from gradaudit.observe.hooks import code_of
from gradaudit.observe.module_hooks import takes_one, watch_module_hooks
from gradaudit.observe.patches import Patches


def double(_, grad_input, _grad_output):
    return tuple(2 * gradient for gradient in grad_input)


class Hook:
    def __call__(self, _module, _grad_input, _grad_output):
        return None

    def method(self, _module, _grad_input, _grad_output):
        return None


class Told:
    def __init__(self) -> None:
        self.hooks: list[tuple[bool, list[object]]] = []

    def hooked(self, node, hooks):
        self.hooks.append((takes_one(node), hooks))


@pytest.fixture
def told():
    patches, listener = Patches(), Told()
    watch_module_hooks(patches, listener)
    yield listener.hooks
    patches.undo()


def test_a_node_is_told_with_the_hooks_it_runs(told):
    layer = nn.Linear(2, 1)
    layer.register_full_backward_hook(double)
    x = torch.ones(1, 2, requires_grad=True)
    layer(x).sum().backward()
    assert told == [(True, [double])]
    assert torch.equal(x.grad, 2 * layer.weight)


def test_so_is_the_node_behind_a_module_with_pre_hooks(told):
    def halve(_, grad_output):
        return (grad_output[0] / 2,)

    layer = nn.Linear(2, 1)
    layer.register_full_backward_pre_hook(halve)
    x = torch.ones(1, 2, requires_grad=True)
    output = layer(x)
    with torch.no_grad():
        layer(x)
    assert told == [(True, [halve])]
    output.sum().backward()
    assert torch.equal(layer.bias.grad, torch.tensor([0.5]))


def test_of_two_inputs_no_hook_answers_for_one(told):
    layer = nn.Bilinear(2, 2, 1)
    layer.register_full_backward_hook(double)
    layer(torch.ones(1, 2, requires_grad=True), torch.ones(1, 2, requires_grad=True))
    layer(torch.ones(1, 2, requires_grad=True), torch.ones(1, 2))
    assert [one for one, _ in told] == [False, True]


def test_modules_without_such_hooks_are_not_told(told):
    nn.Linear(2, 1)(torch.ones(1, 2, requires_grad=True)).sum().backward()
    assert told == []


@pytest.mark.parametrize(
    ("hook", "code"),
    [
        (double, double.__code__),
        (functools.partial(double, None), double.__code__),
        (Hook(), Hook.__call__.__code__),
        (Hook().method, Hook.method.__code__),
        (torch.no_grad()(double), double.__code__),
        (print, None),
    ],
)
def test_the_code_of_a_hook_is_found_under_what_it_is_wrapped_in(hook, code):
    assert code_of(hook) is code


@pytest.mark.parametrize("mode", ["all", "any"])
def test_so_is_that_of_a_hook_of_several_tensors(mode):
    w = torch.ones(1, requires_grad=True)
    torch.autograd.graph.register_multi_grad_hook([w], double, mode=mode)
    (inner,) = w._backward_hooks.values()
    assert code_of(inner) is double.__code__
