from __future__ import annotations

import pytest
import torch

from gradaudit.observe.evaluations import Evaluations


@pytest.fixture
def optimizer():
    return torch.optim.SGD([torch.zeros(2, requires_grad=True)], lr=0.1)


def move(optimizer: torch.optim.Optimizer) -> None:
    with torch.no_grad():
        optimizer.param_groups[0]["params"][0].add_(1)


def test_the_first_evaluation_of_a_step_follows_none(optimizer):
    evaluations = Evaluations()
    for _ in range(2):
        evaluations.begin(optimizer)
        assert evaluations.moved() is None
        move(optimizer)
        evaluations.end(optimizer)
    assert not evaluations.under_way


def test_backwards_between_which_nothing_moved_are_of_one_evaluation(optimizer):
    evaluations = Evaluations()
    evaluations.begin(optimizer)
    assert [evaluations.moved() for _ in range(3)] == [None, None, None]
    move(optimizer)
    assert [evaluations.moved() for _ in range(2)] == [optimizer, None]


def test_a_step_that_failed_ends_when_a_later_one_does(optimizer):
    evaluations = Evaluations()
    inner = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    evaluations.begin(optimizer)
    evaluations.begin(inner)  # its closure raised
    evaluations.end(optimizer)
    assert not evaluations.under_way
    evaluations.begin(optimizer)  # and so did this one's
    evaluations.begin(optimizer)
    evaluations.end(optimizer)
    assert not evaluations.under_way
