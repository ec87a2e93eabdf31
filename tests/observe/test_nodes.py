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
