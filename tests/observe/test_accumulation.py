"""Backwards that follow each other are counted, and told apart by one look behind the last."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from gradaudit.ledger.ledger import Ledger
from gradaudit.model import events as ev
from gradaudit.model.events import Event
from gradaudit.model.sites import Location, Site
from gradaudit.observe.beginnings import Beginning
from gradaudit.observe.watch import Watch

HERE = Site(Location("train.py", 1))
STEP = Site(Location("train.py", 2))
CLEAR = Site(Location("train.py", 3))
ELSEWHERE = Site(Location("train.py", 4))
BEGINNING = Beginning(HERE, "loss", None, False, None, False, None, False)


class Told(Ledger):
    def __init__(self) -> None:
        super().__init__()
        self.told: list[Event] = []

    def feed(self, event: Event) -> None:
        self.told.append(event)
        super().feed(event)


class Loop:
    """Two leaves, an optimizer of both; each iteration was the same for a while."""

    def __init__(self, parts: int) -> None:
        self.ledger = Told()
        self.watch = Watch(self.ledger)
        self.leaves = [torch.ones(1, requires_grad=True) for _ in range(2)]
        numbers = [self.watch.follow(leaf) for leaf in self.leaves]
        self.everyone = self.watch.leaves.members(numbers)
        self.watch.optimizer_seen(0, STEP, self.everyone, (self.everyone,), 0)
        self.looks = 0
        self.watch.probing = True
        for _ in range(2):
            self.iteration(parts)
        self.watch.probing = False
        for _ in range(2):
            self.iteration(parts)
        look = self.watch.gradients.look

        def counted():
            self.looks += 1
            return look()

        self.watch.gradients.look = counted

    def iteration(self, parts: int) -> None:
        self.clear()
        for _ in range(parts):
            self.backward(self.leaves)
        self.step()

    def clear(self) -> None:
        self.watch.point(("clear", CLEAR, self.everyone))
        held = self.watch.gradients.holding(self.everyone)
        self.watch.zero_grad(CLEAR, self.everyone, held, to_none=True)
        for leaf in self.leaves:
            leaf.grad = None

    def backward(self, reached: list[torch.Tensor], inside=lambda: None, *, failed=False) -> None:
        self.watch.point(("backward", HERE))
        self.watch.backward_begins(BEGINNING)
        sum(reached).sum().backward()
        inside()
        self.watch.backward_ends(BEGINNING, failed=failed)

    def step(self) -> None:
        self.watch.point(("step", STEP, 0))
        self.watch.step(STEP, 0, self.everyone)

    def since(self, start: int) -> list[Event]:
        self.watch.settle()
        return self.ledger.told[start:]

    def parts_held(self) -> list[int]:
        """How many backwards the ledger says are in each gradient."""
        lives = [self.ledger.life(self.watch.follow(leaf)) for leaf in self.leaves]
        return [life.held + life.spent for life in lives]


def deposits(events: list[Event]) -> list[set[int]]:
    return [set(event.deposited) for event in events if isinstance(event, ev.Backward)]


def kinds(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_series_is_looked_at_twice_and_told_in_full():
    loop = Loop(8)
    start = len(loop.ledger.told)
    loop.iteration(8)
    assert loop.looks == 2  # behind the first, which fills, and behind the last
    told = loop.since(start)
    assert deposits(told) == [{0, 1}] * 8
    assert kinds(told)[-1] == "Stepped"


def test_a_series_that_nothing_follows_is_told_when_asked():
    loop = Loop(4)
    loop.clear()
    start = len(loop.ledger.told)
    for _ in range(3):
        loop.backward(loop.leaves)
    assert len(deposits(loop.ledger.told[start:])) < 3
    assert deposits(loop.since(start)) == [{0, 1}] * 3


def test_what_fails_is_told_as_failed():
    loop = Loop(4)
    loop.clear()
    start = len(loop.ledger.told)
    for failed in (False, False, True):
        loop.backward(loop.leaves, failed=failed)
    told = [event for event in loop.since(start) if isinstance(event, ev.Backward)]
    assert [event.failed for event in told] == [False, False, True]
    assert deposits(told) == [{0, 1}] * 3


def test_a_step_inside_a_counted_backward_applies_what_is_there():
    loop = Loop(4)
    loop.clear()
    start = len(loop.ledger.told)
    loop.backward(loop.leaves)
    loop.backward(loop.leaves)
    loop.backward(loop.leaves, inside=loop.step)
    told = loop.since(start)
    assert kinds(told) == ["Backward", "Backward", "Backward", "Stepped"]
    assert deposits(told) == [{0, 1}] * 3


def test_what_is_told_inside_a_counted_backward_is_told_behind_it():
    loop = Loop(4)
    loop.clear()
    start = len(loop.ledger.told)
    loop.backward(loop.leaves)
    loop.backward(loop.leaves, inside=lambda: loop.watch.tell(ev.Differentiated(ELSEWHERE)))
    assert kinds(loop.since(start)) == ["Backward", "Backward", "Differentiated"]


def test_a_gradient_that_is_scaled_by_hand_is_told():
    loop = Loop(4)
    loop.clear()
    start = len(loop.ledger.told)
    for _ in range(3):
        loop.backward(loop.leaves)
    loop.leaves[0].grad.mul_(0.5)
    loop.step()
    told = loop.since(start)
    assert kinds(told) == ["Backward"] * 3 + ["Rescaled", "Stepped"]
    assert told[-2].members == {0}


actions = st.lists(
    st.one_of(
        st.sets(st.sampled_from([0, 1]), min_size=1),
        st.sampled_from(["clear by hand 0", "clear by hand 1", "settle"]),
    ),
    max_size=10,
)


@given(st.lists(actions, min_size=1, max_size=4))
def test_the_parts_of_each_gradient_are_counted_whatever_is_done(iterations):
    loop = Loop(3)
    for each in iterations:
        loop.clear()
        loop.backward(loop.leaves)
        truth = [1, 1]
        emptied = [None, None]  # held, so that no address is used again
        for action in each:
            if action == "settle":
                loop.watch.settle()
            elif isinstance(action, str):
                number = int(action[-1])
                emptied[number], loop.leaves[number].grad = loop.leaves[number].grad, None
                truth[number] = 0
            else:
                loop.backward([loop.leaves[number] for number in sorted(action)])
                for number in action:
                    truth[number] += 1
        loop.step()
        loop.watch.point(("backward", ELSEWHERE))  # looks, as nobody has been here before
        present = [0 if leaf.grad is None else int(leaf.grad.item()) for leaf in loop.leaves]
        assert present == truth
        assert loop.parts_held() == truth
