"""Samples that were worthless, as stretches: as few as can be, and never more than was seen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gradaudit.ledger.stretches import STRETCHES
from gradaudit.ledger.values import Values

#: What the samples of a gradient show, one after the other.
SAMPLES = st.lists(st.sampled_from(["fine", "zero", "nonfinite"]), max_size=60)


def told(samples: dict[int, str]) -> list[tuple[int, int, str]]:
    values = Values()
    for iteration, state in samples.items():
        values.sample(iteration, 1.0, zero=state == "zero", nonfinite=state == "nonfinite")
    end = max(samples, default=0)
    return [(each.first, each.last, each.state) for each in values.stretches(end)]


def test_samples_in_a_row_are_one_stretch():
    assert told({0: "fine", 1: "zero", 2: "zero", 34: "zero", 66: "fine"}) == [(1, 34, "zero")]
    assert told({0: "zero", 32: "fine", 64: "zero"}) == [(0, 0, "zero"), (64, 64, "zero")]
    assert told({5: "zero", 6: "nonfinite", 9: "nonfinite"}) == [
        (5, 5, "zero"),
        (6, 9, "nonfinite"),
    ]
    assert told({0: "fine", 9: "fine"}) == []


def test_what_the_last_samples_showed_goes_on_to_the_end():
    values = Values()
    told_at_last = [[(32, 32)], [(32, 99)], [(32, 64)]]
    for iteration, zero in ((32, True), (64, True), (96, False)):
        values.sample(iteration, 1.0, zero=zero, nonfinite=False)
        stretches = [(each.first, each.last) for each in values.stretches(99)]
        assert stretches == told_at_last.pop(0)


def test_what_updates_by_hand_used_is_told_of_these_iterations_only():
    values = Values()
    for iteration in (3, 4, 9):
        values.use(iteration)
    assert [(each.first, each.last) for each in values.stretches(20)] == [(3, 4), (9, 9)]


def test_iterations_that_were_none_are_forgotten():
    values = Values()
    for iteration in (30, 0, 1):
        values.use(iteration)
    assert [(each.first, each.last) for each in values.stretches(20)] == [(0, 1)]


@given(SAMPLES, st.integers(1, 40))
def test_a_stretch_holds_samples_of_its_state_only(states, apart):
    samples = {number * apart: state for number, state in enumerate(states)}
    stretches = told(samples)
    for first, last, state in stretches:
        assert {samples[at] for at in samples if first <= at <= last} == {state}
    within = [at for first, last, _ in stretches for at in samples if first <= at <= last]
    assert within == [at for at, state in samples.items() if state != "fine"]


def test_many_are_thinned_evenly_and_none_is_invented():
    samples = {at: "zero" if at % 2 else "fine" for at in range(20_000)}
    stretches = told(samples)
    assert STRETCHES // 2 <= len(stretches) <= STRETCHES + 1
    assert all(first == last and first % 2 for first, last, _ in stretches)
    halves = [first < 10_000 for first, _, _ in stretches]
    assert abs(halves.count(True) - halves.count(False)) < 5
