"""The look before a backward is spared where the probe saw nothing: what happens there later."""

from __future__ import annotations

import pytest
import torch

from gradaudit.ledger.ledger import Ledger
from gradaudit.model import events as ev
from gradaudit.model.events import Event
from gradaudit.model.sites import Location, Site
from gradaudit.observe.beginnings import Beginning
from gradaudit.observe.leaves import THROWN_AWAY
from gradaudit.observe.watch import Watch

SITE = Site(Location("train.py", 1))
BEGINNING = Beginning(SITE, "loss", None, False, None, False, None, False)


class Loop:
    """One leaf and one backward, as the recorder would have them told; ``told`` is what was."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.watch = Watch(Told(self.told))
        self.w = torch.ones(1, requires_grad=True)
        self.watch.follow(self.w)
        self.watch.probing = True
        for _ in range(3):
            self.backward()
        self.watch.probing = False

    def backward(self, *others: torch.Tensor, create_graph: bool = False) -> list[str]:
        """What was told of it."""
        self.told.clear()
        self.watch.point(("backward", SITE))
        self.watch.backward_begins(None)
        torch.stack([self.w, *others]).square().sum().backward(create_graph=create_graph)
        self.watch.backward_ends(BEGINNING, failed=False)
        return [type(event).__name__ for event in self.told]


class Told(Ledger):
    def __init__(self, told: list[Event]) -> None:
        super().__init__()
        self._told = told

    def feed(self, event: Event) -> None:
        self._told.append(event)
        super().feed(event)


def test_a_backward_is_told_without_a_look_before_it():
    loop = Loop()
    assert loop.backward() == ["Backward"]


def test_what_is_done_by_hand_for_the_first_time_shows_behind_the_backward():
    loop = Loop()
    old, loop.w.grad = loop.w.grad, None  # held, so that its address is not used again
    assert loop.backward() == ["Cleared", "Backward"]
    (cleared, _) = loop.told
    assert isinstance(cleared, ev.Cleared)
    assert cleared.site is None
    assert old is not loop.w.grad
    loop.w.grad.zero_()
    assert loop.backward() == ["Rescaled", "Backward"]
    assert loop.backward() == ["Backward"]


@pytest.mark.filterwarnings("ignore:Using backward\\(\\) with create_graph:UserWarning")
def test_new_gradients_of_a_backward_that_always_makes_them_are_no_clearing():
    loop = Loop()
    loop.watch.probing = True
    for _ in range(3):
        loop.backward(create_graph=True)
    loop.watch.probing = False
    for _ in range(3):
        other = torch.ones(1, requires_grad=True)  # so that its pattern is a new one each time
        loop.watch.follow(other)
        assert loop.backward(other, create_graph=True) == ["Backward"]


def test_a_stretch_that_was_never_probed_is_looked_at_once():
    loop = Loop()
    loop.told.clear()
    loop.w.grad = torch.zeros(1)
    loop.watch.point(("step", SITE, 0))
    assert [type(event) for event in loop.told] == [ev.Assigned]
    loop.backward()
    loop.told.clear()
    loop.watch.point(("step", SITE, 0))  # nothing was done this time, and once something was
    loop.w.grad = torch.zeros(1)
    loop.watch.point(("clear", SITE))
    loop.watch.point(("step", SITE, 0))
    loop.watch.point(("clear", SITE))
    assert [type(event) for event in loop.told] == [ev.Assigned]


def test_nobody_is_said_to_read_a_gradient_that_has_died():
    loop = Loop()
    x = torch.ones(1, requires_grad=True)
    loop.watch.probing = True
    leaf = loop.watch.follow(x)
    loop.backward(x)
    loop.watch.deeds.read(leaf, SITE)
    loop.watch.point(("step", SITE, 0))
    loop.watch.probing = False
    loop.backward(x)
    loop.watch.point(("step", SITE, 0))
    assert [type(event) for event in loop.told] == [ev.Backward, ev.GradRead]
    del x
    loop.backward()
    loop.watch.point(("step", SITE, 0))
    assert [type(event) for event in loop.told] == [ev.Backward]


def test_a_leaf_that_is_thawed_behind_the_probe_is_found_by_its_gradient_and_followed():
    loop = Loop()
    x = torch.ones(1)
    number = loop.watch.leaves.learn(x).number
    assert not loop.watch.fed_unseen()
    x.requires_grad_()
    loop.backward(x)
    assert loop.watch.fed_unseen()
    assert not loop.watch.fed_unseen()
    loop.backward(x)
    assert [number in event.deposited for event in loop.told] == [True]


def test_leaves_that_are_made_and_thrown_away_by_the_hundred_are_not_followed_for_ever():
    loop = Loop()
    early = torch.ones(1, requires_grad=True)
    loop.watch.leaves.learn(early)
    for _ in range(THROWN_AWAY):
        loop.watch.follow(torch.ones(1, requires_grad=True))
    one_more = torch.ones(1, requires_grad=True)
    loop.watch.leaves.learn(one_more)
    loop.backward(one_more)
    assert not loop.watch.fed_unseen()
    loop.backward(early)
    assert loop.watch.fed_unseen()
