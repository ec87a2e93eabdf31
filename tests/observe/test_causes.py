"""Which operation spoilt a gradient: real, tiny graphs, and what is told of them."""

from __future__ import annotations

import gc
import sys
import weakref

import pytest
import torch
from torch import nn

from gradaudit.model import events as ev
from gradaudit.model.sites import Location, Site
from gradaudit.observe.causes import Causes
from gradaudit.observe.flow import Node
from gradaudit.observe.forward import Forward
from gradaudit.observe.graph import below
from gradaudit.observe.hooks import Hooks
from gradaudit.observe.leaves import Leaves
from gradaudit.observe.lines import Lines
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.sites import SiteBook, UserCode
from gradaudit.observe.source import SourceBook

BACKWARD = Site(Location("train.py", 1))


def watching(hooks: Hooks | None = None) -> Causes:
    book = SiteBook(UserCode(None), SourceBook(), "/")
    leaves = Leaves(lambda _: None)
    nodes = Nodes(book, leaves)
    return Causes(nodes.lines, hooks or Hooks(book.user), book, frozenset, Forward(nodes, leaves))


def told(
    loss: torch.Tensor,
    *leaves: torch.Tensor,
    gradient: torch.Tensor | None = None,
    hooks: Hooks | None = None,
):
    """What a backward is found to have done, as (event, operation, kind, names of leaves)."""
    numbers = {id(leaf): index for index, leaf in enumerate(leaves)}
    causes = watching(hooks)
    graph = below([loss])
    watched = causes.begins(
        [loss], graph, {node: numbers[id(leaf)] for node, leaf in graph.leaves.items()}
    )
    loss.backward(gradient)
    watched.measured.unhook()
    return [
        (type(event).__name__, event.operation, getattr(event, "kind", None), set(event.members))
        for event in causes.ends(watched, BACKWARD)
    ]


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, requires_grad=True)


def test_nothing_is_told_of_sound_gradients():
    w, x = leaf(1.0, 2.0), leaf(3.0, 0.0)
    assert told((w * x).sum(), w, x) == []


def test_the_first_that_makes_nan_or_inf_is_told_and_not_what_passes_it_on():
    w, b = leaf(0.0, 4.0), leaf(1.0, 1.0)
    loss = ((w * 3).sqrt() * 2 + b).sum()
    assert told(loss, w, b) == [("NonfiniteMade", "sqrt", None, {0})]


def test_a_loss_that_is_not_finite_is_said_to_be_so():
    w = leaf(0.0)
    causes = watching()
    loss = w.log().sum()
    graph = below([loss])
    watched = causes.begins([loss], graph, dict.fromkeys(graph.leaves, 0))
    loss.backward()
    (event,) = causes.ends(watched, BACKWARD)
    assert isinstance(event, ev.NonfiniteMade)
    assert (event.operation, event.loss_finite) == ("log", False)


def test_what_the_backward_was_given_is_nobodys_fault():
    w = leaf(1.0, 2.0)
    assert told(w * 2, w, gradient=torch.tensor([float("nan"), 0.0])) == []
    assert told(w * 2, w, gradient=torch.zeros(2)) == []


@pytest.mark.parametrize(
    ("function", "operation", "kind"),
    [
        (torch.round, "round", "flat"),
        (torch.sign, "sign", "flat"),
        (lambda w: torch.div(w, 2, rounding_mode="floor"), "div", "flat"),
        (lambda w: w.clamp(-10, -9), "clamp", "bounded"),
        (lambda w: torch.relu(w - 9), "relu", "dead"),
        (lambda w: torch.maximum(w - 9, torch.zeros(2)), "maximum", "dead"),
        (lambda w: torch.tanh(100 * w + 50), "tanh", "saturated"),
        (lambda w: w * torch.zeros(2), "mul", "zeroed"),
        (lambda w: torch.where(w > 9, w, 1.0), "where", "zeroed"),
        (lambda w: w.masked_fill(w < 9, 1.0), "maskedfill", "zeroed"),
        (lambda w: w.unsqueeze(1).softmax(-1), "softmax", "one"),
        (lambda w: w.unsqueeze(1).log_softmax(1), "logsoftmax", "one"),
        (lambda w: nn.functional.layer_norm(w[:, None], (1,)), "nativelayernorm", "one"),
        (lambda w: w.softmax(0).sum(), "softmax", "other"),
    ],
)
def test_zeros_are_told_with_the_reason(function, operation, kind):
    w = leaf(1.0, 2.0)
    found = told((function(3 * w) - 0.3).square().sum(), w)
    if kind == "other":  # a sum that cancels: zero or nearly so
        assert all(each[2] == "other" for each in found)
    else:
        assert found == [("ZeroMade", operation, kind, {0})]


@pytest.mark.parametrize(
    ("product", "shapes"),
    [
        (torch.mm, ((2, 3), (3, 2))),
        (torch.bmm, ((1, 2, 3), (1, 3, 2))),
        (torch.mv, ((2, 3), (3,))),
        (lambda a, b: torch.addmm(torch.ones(2), a, b), ((2, 3), (3, 2))),
        (lambda a, b: torch.baddbmm(torch.ones(2), a, b), ((1, 2, 3), (1, 3, 2))),
        (torch.conv1d, ((1, 2, 4), (3, 2, 1))),
    ],
)
def test_a_product_of_zeros_and_zeros_is_told_and_of_zeros_and_others_is_not(product, shapes):
    for one in (torch.zeros, torch.ones):
        a, b = one(shapes[0], requires_grad=True), torch.zeros(shapes[1], requires_grad=True)
        found = told((product(a, b) - 0.3).square().sum(), a, b)
        if one is torch.zeros:
            assert [each[2:] for each in found] == [("zeros", {0, 1})]
        else:  # what begins at zero will change
            assert [each[2:] for each in found] == [("other", {0})]


def test_a_leaf_that_something_else_reaches_is_not_told():
    w = leaf(1.0, 2.0)
    assert told((w + (torch.round(w) - w)).square().sum(), w) == []
    w = leaf(1.0, 2.0)
    assert told((w + (torch.round(w) - w).detach()).square().sum(), w) == []


def test_a_term_that_is_satisfied_is_none_that_is_dead():
    w, v = leaf(1.0, 2.0), leaf(0.5)
    hinge = torch.relu(w - 9).mean()
    assert told(0.1 * hinge + v.square().sum(), w, v) == [("ZeroMade", "relu", "satisfied", {0})]


def test_a_loss_of_zero_is_satisfied_whatever_made_the_zeros():
    w = leaf(1.0, 2.0)
    assert told(torch.tanh(0 * w).abs().sum(), w)[0][2] == "satisfied"


def test_but_what_is_the_same_whatever_it_is_given_satisfies_nothing():
    w = leaf(1.0, 2.0)
    loss = nn.functional.cross_entropy(w.unsqueeze(1), torch.zeros(2, dtype=torch.long))
    assert loss == 0
    assert told(loss, w)[0][2] == "one"


def test_a_gradient_too_small_for_its_type_is_an_underflow():
    w = leaf(1.0, 2.0)
    assert told(1e-9 * w.half().float().square().sum(), w)[0][2] == "underflow"


def test_tiny_gradients_are_not_zero_and_huge_ones_are_finite():
    for factor in (1e-30, 1e30):
        w = leaf(1.0)
        assert told((w * factor).sum(), w) == []


def test_a_function_of_the_users_own_is_not_judged_by_its_name():
    class Round(torch.autograd.Function):
        @staticmethod
        def forward(_, x):
            return x.round()

        @staticmethod
        def backward(_, gradient):
            return torch.zeros_like(gradient)

    w = leaf(1.0, 2.0)
    assert told(Round.apply(2 * w).square().sum(), w)[0][2] == "other"


def test_the_gradients_are_the_same_to_the_last_bit_and_so_are_the_buffers_reused():
    def gradients(watched: bool) -> list[torch.Tensor]:
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 2))
        loss = net(torch.randn(5, 4)).square().mean()
        if watched:
            told(loss, *net.parameters())
        else:
            loss.backward()
        return [parameter.grad for parameter in net.parameters()]

    assert all(map(torch.equal, gradients(watched=True), gradients(watched=False)))


def test_a_graph_may_be_used_again_and_no_hook_is_left():
    w = leaf(1.0, 4.0)
    loss = w.sqrt().sum()
    causes = watching()
    graph = below([loss])
    watched = causes.begins([loss], graph, dict.fromkeys(graph.leaves, 0))
    loss.backward(retain_graph=True)
    watched.measured.unhook()
    before = watched.measured.seconds
    loss.backward()
    assert watched.measured.seconds == before


def test_nothing_is_kept_alive():
    w = leaf(1.0, 4.0)
    middle = w * 2
    loss = (middle.sqrt() * middle).sum()
    gone = [weakref.ref(middle), weakref.ref(loss)]
    told(loss, w)
    del middle, loss
    gc.collect()
    assert [reference() for reference in gone] == [None, None]


def test_gradients_through_the_gradient_are_measured_too():
    w = leaf(1.0, 4.0)
    (slope,) = torch.autograd.grad(w.pow(3).sum(), w, create_graph=True)
    assert told(slope.sub(3).square().sum().sqrt(), w) == []


def test_sparse_gradients_pass():
    table = nn.Embedding(5, 2, sparse=True)
    assert told(table(torch.tensor([1, 2])).square().sum(), table.weight) == []


def test_an_error_of_the_audit_stays_out_of_the_users_backward(monkeypatch):
    def broken(*_: object) -> None:
        raise ValueError("broken")

    monkeypatch.setattr("gradaudit.observe.measured.roughly", broken)
    w = leaf(1.0, 4.0)
    with pytest.raises(ValueError, match="broken"):
        told(w.square().sum(), w)
    assert w.grad is not None


# -- hooks ---------------------------------------------------------------------------------------


def silence(gradient):
    return torch.zeros_like(gradient)


def spoil(gradient):
    return gradient / 0


def brighten(gradient):
    return gradient + 1


@pytest.mark.parametrize(
    ("hook", "found"),
    [
        (silence, [("ZeroMade", "silence", "hook", {0})]),
        (spoil, [("NonfiniteMade", "spoil", None, {0})]),
        (brighten, []),
    ],
)
def test_the_hook_of_a_tensor_is_told_and_not_the_operation_that_it_feeds(hook, found):
    w, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    hidden = torch.tanh(w)
    hidden.register_hook(hook)
    hooks = Hooks(UserCode(None))
    hooks.note_ahead(hidden.grad_fn, hook)
    assert told((hidden * v).sum(), w, v, hooks=hooks) == found


@pytest.mark.parametrize("view", [torch.clone, lambda tensor: tensor.view(2, 1)])
def test_so_is_a_hook_ahead_of_what_hands_gradients_on_as_they_are(view):
    w = leaf(1.0, 2.0)
    hidden = view(w)
    hidden.register_hook(silence)
    hooks = Hooks(UserCode(None))
    hooks.note_ahead(hidden.grad_fn, silence)
    assert told((hidden * 2).sum(), w, hooks=hooks) == [("ZeroMade", "silence", "hook", {0})]


def test_a_hook_that_makes_something_of_nothing_takes_the_blame_from_what_made_nothing():
    w = leaf(1.0, 2.0)
    hidden = 2 * w
    hidden.register_hook(brighten)
    hooks = Hooks(UserCode(None))
    hooks.note_ahead(hidden.grad_fn, brighten)
    assert told(hidden.round().sum(), w, hooks=hooks) == []


def test_the_hooks_of_a_leaf_are_asked_for():
    w, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    w.register_hook(silence)
    assert told((w * v).sum(), w, v) == [("ZeroMade", "silence", "hook", {0})]


def test_of_several_hooks_nobody_knows_which():
    w = leaf(1.0, 2.0)
    w.register_hook(spoil)
    w.register_hook(brighten)
    causes, loss = watching(), (w * 2).sum()
    graph = below([loss])
    watched = causes.begins([loss], graph, dict.fromkeys(graph.leaves, 0))
    loss.backward()
    (event,) = causes.ends(watched, BACKWARD)
    assert (event.operation, event.site, event.by) == ("spoil or brighten", None, "hook")


def test_a_gradient_that_a_hook_left_as_it_was_is_still_not_copied():
    w = leaf(1.0, 2.0)
    w.register_hook(lambda gradient: handed.append(gradient.data_ptr()))
    handed: list[int] = []
    assert told((w * 2).sum(), w) == []
    assert [w.grad.data_ptr()] == handed


# -- lines ---------------------------------------------------------------------------------------


def test_the_parts_of_an_operation_belong_to_the_line_of_its_result():
    lines = Lines()
    here = (sys._getframe().f_code, 0)
    w = leaf(1.0, 2.0)
    first = w * 2
    product = Node("__rmul__", here, (), connected=True)
    lines.note(first, product)
    second = first.exp() + 1
    lines.note(second, Node("softplus", None, (), connected=True))
    assert lines.of(first.grad_fn) == ("mul", here)
    assert lines.of(second.grad_fn.next_functions[0][0]) == ("softplus", None)
    lines.note(first, Node("again", None, (), connected=True))
    assert lines.of(first.grad_fn) == ("mul", here)
    assert lines.value(first.grad_fn) is product
    assert lines.value(second.grad_fn) is None  # nobody holds it any more
    assert lines.of((second * 2).grad_fn) is None
    lines.forget()
    assert lines.of(first.grad_fn) is lines.value(first.grad_fn) is None
