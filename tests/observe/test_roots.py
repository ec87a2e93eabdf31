"""What is known of a root: whether it was scaled, and whether it was backpropagated before."""

from __future__ import annotations

import torch

from gradaudit.model.sites import Location, Site
from gradaudit.observe.graph import below
from gradaudit.observe.roots import Roots

FIRST, SECOND = (Site(Location("train.py", line, line, 1, 9)) for line in (1, 2))


def test_the_same_loss_is_known_again_with_and_without_a_scale():
    for scaled_first in (False, True):
        roots = Roots()
        loss = torch.tensor(1.0, requires_grad=True) * 2
        result = loss * 8
        roots.note_scaled([loss], [result])
        first, second = (result, loss) if scaled_first else (loss, result)
        assert roots.meet([first], FIRST) == (scaled_first, None)
        assert roots.meet([second], SECOND) == (not scaled_first, FIRST)


def test_other_losses_are_not():
    roots = Roots()
    losses = [torch.ones(()), torch.ones(())]
    results = [torch.ones(()), torch.ones(())]
    roots.note_scaled(losses, results)
    assert [roots.meet([each], FIRST) for each in results] == [(True, None), (True, None)]


def test_a_sum_is_made_of_losses_that_were_backpropagated():
    roots = Roots()
    weight = torch.ones(3, requires_grad=True)
    values = weight * 2
    loss, other = values.sum(), values.square().sum()
    roots.meet([values], FIRST)  # with gradients from elsewhere: no loss
    assert roots.part_of(below([other])) is None
    roots.meet([loss], SECOND)
    assert roots.part_of(below([loss])) is None
    assert roots.part_of(below([other])) is None
    assert roots.part_of(below([loss + other])) is SECOND


def test_a_loss_is_a_part_though_only_the_graph_keeps_it():
    roots = Roots()
    weight = torch.ones(3, requires_grad=True)
    loss = weight.sum()
    roots.meet([loss], FIRST)
    loss = loss / 2
    other = weight.sum() / 2
    assert roots.part_of(below([loss])) is FIRST
    assert roots.part_of(below([other])) is None
