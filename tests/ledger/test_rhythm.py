"""Repeated iterations, counted and caught up with, against the same events folded one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradaudit.ledger.ledger import Ledger
from gradaudit.ledger.linear import NotLinearError, grow, picture, repeat
from gradaudit.model import events as ev
from gradaudit.model.events import Event

from .story import at

LEAVES = (0, 1, 2)
OWNED = (frozenset({0, 1, 2}), frozenset({0, 1}), frozenset({2}))


@cache
def backward(line: int, leaves: frozenset[int], evaluating: bool) -> Event:
    return ev.Backward(at(f"backward {line}"), "loss", leaves, evaluating=evaluating)


@cache
def cleared(line: int, leaves: frozenset[int], by_hand: bool) -> Event:
    return ev.Cleared(at(f"clear {line}"), leaves, leaves, by_hand=by_hand, to_none=True)


@cache
def zero_grad(line: int, leaves: frozenset[int]) -> Event:
    return ev.ZeroGradCalled(at(f"clear {line}"), leaves)


@cache
def stepped(number: int, present: frozenset[int]) -> Event:
    owned = OWNED[number]
    return ev.Stepped(at("step"), number, owned & present, owned - present)


@cache
def updated(leaves: frozenset[int]) -> Event:
    return ev.Updated(at("update"), leaves)


@cache
def rescaled(leaves: frozenset[int], clipped: bool) -> Event:
    return ev.Rescaled(at("clip"), leaves, clipped)


@cache
def read(leaves: frozenset[int]) -> Event:
    return ev.GradRead(at("read"), leaves)


SUBSETS = st.frozensets(st.sampled_from(LEAVES))
SOME = st.frozensets(st.sampled_from(LEAVES), min_size=1)
EVENTS = st.one_of(
    st.builds(backward, st.integers(0, 2), SUBSETS, st.booleans()),
    st.builds(cleared, st.integers(0, 1), SOME, st.booleans()),
    st.builds(zero_grad, st.integers(0, 1), SUBSETS),
    st.builds(stepped, st.integers(0, 2), SUBSETS),
    st.builds(updated, SOME),
    st.builds(rescaled, SOME, st.booleans()),
    st.builds(read, SOME),
)
#: Parts of a program: events, and how often they are gone through.
PARTS = st.tuples(
    st.lists(EVENTS, min_size=1, max_size=6),
    st.one_of(st.integers(1, 6), st.integers(30, 80), st.integers(1100, 1500)),
)


def new() -> Ledger:
    ledger = Ledger()
    for leaf in LEAVES:
        ledger.feed(ev.LeafSeen(leaf, "parameter", requires_grad=True))
    for number, owned in enumerate(OWNED):
        ledger.feed(ev.OptimizerSeen(number, at("optimizer"), owned))
    return ledger


#: Parts that are gone through one after the other, over and over, as a GAN trains its two sides.
TURNS = st.tuples(
    st.lists(
        st.tuples(st.lists(EVENTS, min_size=1, max_size=4), st.integers(1, 5)),
        min_size=1,
        max_size=3,
    ),
    st.one_of(st.integers(1, 6), st.integers(20, 200)),
)


def played(turns: list[tuple[list[tuple[list[Event], int]], int]]) -> Iterator[Event]:
    for parts, times in turns:
        for _ in range(times):
            for events, repeated in parts:
                for _ in range(repeated):
                    yield from events


def once(parts: list[tuple[list[Event], int]]) -> list[tuple[list[tuple[list[Event], int]], int]]:
    return [([(events, 1)], times) for events, times in parts]


@settings(max_examples=120, derandomize=True)
@given(
    st.one_of(
        st.lists(PARTS, min_size=1, max_size=3).map(once),
        st.lists(TURNS, min_size=1, max_size=3),
    ),
    st.sampled_from((0, 0, 7, 50)),
)
def test_counting_iterations_comes_to_the_same_as_folding_them(
    turns: list[tuple[list[tuple[list[Event], int]], int]], asked: int
):
    counting, folding = new(), new()
    for number, event in enumerate(played(turns)):
        counting.feed(event)
        folding.fold((event,))
        assert counting.iterations == folding.iterations
        if asked and number % asked == 0:
            counting.catch_up()
    counting.close()
    folding.close()
    assert picture(counting.state) == picture(folding.state)


def test_a_round_of_several_iterations_is_only_counted(monkeypatch: pytest.MonkeyPatch):
    ledger = new()
    critic = (zero_grad(0, OWNED[1]), backward(0, OWNED[1], evaluating=False), stepped(1, OWNED[1]))
    other = (zero_grad(1, OWNED[2]), backward(1, OWNED[0], evaluating=False), stepped(2, OWNED[2]))
    round_ = (*critic * 5, *other)
    for event in round_ * 3:
        ledger.feed(event)
    ledger.catch_up()  # asking is no interruption
    folded: list[Event] = []
    monkeypatch.setattr(ledger, "fold", folded.extend)
    for event in round_ * 10:
        ledger.feed(event)
    assert folded == []
    assert ledger.iterations == 13 * 5
    ledger.catch_up()
    assert tuple(folded) == round_ * 10


def test_a_steady_run_is_caught_up_with_in_no_time():
    ledger = new()
    whole = OWNED[0]
    round_ = (
        zero_grad(0, whole),
        cleared(0, whole, by_hand=False),
        backward(0, whole, evaluating=False),
        stepped(0, whole),
    )
    for _ in range(20_000):
        for event in round_:
            ledger.feed(event)
    repeat(ledger, round_, 10**9)
    began = time.process_time()
    ledger.close()
    assert time.process_time() - began < 1
    assert ledger.backward_calls == 10**9 + 20_000
    (run,) = ledger.life(0).timeline
    assert (run.first, run.last, run.state) == (0, 10**9 + 20_000 - 1, "fresh")


def test_asking_in_between_changes_nothing():
    asked, unasked = new(), new()
    whole = OWNED[0]
    for number in range(300):
        for event in (backward(0, whole, evaluating=False), stepped(0, whole)):
            asked.feed(event)
            unasked.feed(event)
            if number % 7 == 0:
                assert asked.life(0).deposited.count == number + 1
    asked.close()
    unasked.close()
    assert picture(asked.state) == picture(unasked.state)


@pytest.mark.parametrize(
    ("before", "after"),
    [({"a": 1}, {"a": "1"}), ([1], [1, 2]), ({"a": 1}, {}), ({1, 2}, {1, 3}), (True, False)],
)
def test_what_changes_otherwise_than_by_numbers_is_not_linear(before: object, after: object):
    with pytest.raises(NotLinearError):
        grow(picture(after), before, after, 5)


def test_numbers_grow_wherever_they_are():
    before = {"a": [1, {"b": 10}], 5: None}
    after = {"a": [2, {"b": 10}], 7: None}
    assert grow(picture(after), before, after, 3) == {"a": [5, {"b": 10}], 13: None}
