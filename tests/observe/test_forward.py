"""Where the forward made NaN or Inf: real, tiny programs, and what is told of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gradaudit.model.sites import Location, Site
from gradaudit.observe.causes import Causes
from gradaudit.observe.dataflow import Dataflow
from gradaudit.observe.forward import Forward
from gradaudit.observe.function_mode import CallMode
from gradaudit.observe.graph import below
from gradaudit.observe.leaves import Leaves
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.sites import SiteBook, UserCode
from gradaudit.observe.source import SourceBook

INF = float("inf")


class NoTracer:
    def pause(self) -> bool:
        return False

    def go_on(self) -> None:
        pass


def spoilt(compute, *leaves: torch.Tensor):
    """What a backward of ``compute()`` is told to be spoilt by: (operation, how) by leaf."""
    book = SiteBook(UserCode(None), SourceBook(), "/")
    known = Leaves(lambda _: None)
    numbers = {id(each): known.learn(each).number for each in leaves}
    nodes = Nodes(book, known)
    dataflow = Dataflow(book, known, nodes, None)
    broken: list[Exception] = []
    mode = CallMode(dataflow, lambda _, error: broken.append(error), lambda _: None, NoTracer())
    with mode:
        loss = compute()
    causes = Causes(nodes.lines, dataflow.hooks, book, frozenset, Forward(nodes, known))
    graph = below([loss])
    watched = causes.begins(
        [loss], graph, {node: numbers[id(each)] for node, each in graph.leaves.items()}
    )
    loss.backward()
    watched.measured.unhook()
    assert broken == []
    return {
        (event.operation, event.by) for event in causes.ends(watched, Site(Location("t.py", 1)))
    }


def leaf(*values: float) -> torch.Tensor:
    return torch.tensor(values, requires_grad=True)


MASK = torch.tensor([[True, True], [False, True]])


@pytest.mark.parametrize(
    ("compute", "told"),
    [
        (lambda w: ((w / w.sum()).pow(2) * 3).sum(), ("div", "forward")),
        # masked out of the loss: the backward of what comes behind is not to blame
        (
            lambda w: (
                (w.expand(2, 2).masked_fill(MASK, -INF).softmax(1) @ (w + 1)).pow(2)[1:].sum()
            ),
            ("softmax", "forward"),
        ),
        (lambda w: ((w.expand(2, 2) + -INF * MASK[:1]).softmax(1)[:1] * w).sum(), None),
        (
            lambda w: nn.functional.cross_entropy(
                (w / w.sum()).expand(2, 2) * MASK + w, torch.tensor([-100, 0])
            ),
            None,
        ),
        (
            lambda w: nn.functional.cross_entropy(
                (w / w.sum())[:, None] * torch.ones(2), torch.tensor([-100, -100]), reduction="sum"
            ),
            ("div", "forward"),
        ),
        # Inf that was computed is where it began, NaN only what became of it
        (lambda w: (torch.exp(w + 1000) / torch.exp(w + 1000).sum()).sum(), ("exp", "forward")),
        (lambda w: (w * torch.tensor([1.0, float("nan")])).sum(), ("tensor", "value")),
        (lambda w: w.abs().sqrt().sum(), ("sqrt", "backward")),
    ],
)
def test_what_was_not_finite_first_is_told(compute, told):
    w = leaf(1.0, -1.0) if told and told[0] == "div" else leaf(0.0, 0.0)
    found = spoilt(lambda: compute(w), w)
    if told is not None:
        assert found == {told}


def test_a_leaf_that_held_it_itself_is_told():
    w, v = leaf(1.0, 2.0), leaf(1.0, float("nan"))
    assert spoilt(lambda: ((w * 2) * v).square().sum(), w, v) == {("mul", "leaf")}


def test_what_a_leaf_held_that_is_gone_is_a_value():
    def weighed(w: torch.Tensor) -> torch.Tensor:
        return leaf(1.0, float("nan")).detach() * w

    w = leaf(1.0, 2.0)
    assert spoilt(lambda: weighed(w).sum(), w) == {("tensor", "value")}


def test_sizes_are_not_asked_for_inside_of_transforms():
    w = leaf(1.0, 2.0)
    assert spoilt(lambda: torch.vmap(lambda x: (x * w).sum())(torch.ones(3, 2)).sum(), w) == set()
