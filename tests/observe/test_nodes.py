"""The nodes of values: real, tiny tensors, and what is known when they are gone."""

from __future__ import annotations

import sys

import torch

from gradaudit.observe.leaves import Leaves
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.operations import Operation
from gradaudit.observe.sites import SiteBook, UserCode
from gradaudit.observe.source import SourceBook


def test_a_value_that_is_dropped_is_a_dead_end_unless_something_was_made_of_it():
    book = SiteBook(UserCode(None), SourceBook(), "/")
    leaves = Leaves(lambda _: None)
    nodes = Nodes(book, leaves)
    frame = sys._getframe()
    here = (frame.f_code, frame.f_lasti)

    def double(tensor: torch.Tensor) -> torch.Tensor:
        result = tensor * 2
        nodes.record(Operation("mul", "plain"), result, (nodes.source(tensor),), here, frame)
        return result

    used, dropped = (torch.ones(2, requires_grad=True) for _ in range(2))
    between, kept = double(used), None
    kept = double(between)
    del between
    double(dropped)
    numbers = {leaves.learn(used).number, leaves.learn(dropped).number}
    ends = [members for _, members in nodes.dead_ends(lambda: set(numbers))]
    assert ends == [{leaves.learn(dropped).number}]
    assert list(nodes.dead_ends(lambda: numbers)) == []
    assert kept is not None


def test_what_comes_behind_the_last_backward_of_a_run_that_is_ended_had_no_chance():
    nodes = Nodes(SiteBook(UserCode(None), SourceBook(), "/"), Leaves(lambda _: None))
    frame = sys._getframe()

    def loss() -> torch.Tensor:
        leaf = torch.ones(2, requires_grad=True)
        result = leaf.sum()
        here = (frame.f_code, frame.f_lasti)
        nodes.record(Operation("sum", "plain"), result, (nodes.source(leaf),), here, frame)
        return result

    forgotten, done = loss(), loss()
    nodes.ancestry([nodes.source(done)])
    pending = loss()
    nodes.forgive()
    assert len(list(nodes.losses_left())) == 1
    assert forgotten.requires_grad and pending.requires_grad
