"""Norms by iteration: few, evenly spread, and only numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradaudit.ledger.values import NORMS, Norms, Strides, Values

POWERS_OF_TWO = {0, *(2**exponent for exponent in range(20))}


@pytest.mark.parametrize("count", [1, NORMS, NORMS + 1, 2 * NORMS, 10_000])
def test_norms_are_thinned_evenly(count):
    norms = Norms()
    for iteration in range(count):
        norms.add(iteration, float(iteration))
    kept = [iteration for iteration, norm in norms if norm == iteration]
    stride = kept[-1] - kept[-2] if count > 1 else 1
    even = [iteration for iteration in kept if iteration % stride == 0]
    assert min(count, NORMS // 2) <= len(even) <= NORMS
    assert even[0] == 0
    assert {later - earlier for earlier, later in pairwise(even)} <= {stride}
    assert set(kept) - set(even) <= POWERS_OF_TWO
    assert count - kept[-1] <= max(2 * count // NORMS, 1) * 2


def test_all_ranks_keep_the_same_iterations_whatever_else_they_sampled():
    often, seldom = Norms(), Norms()
    for iteration in range(10_000):
        often.add(iteration, 1.0)
        if iteration % 7 == 0 or iteration in POWERS_OF_TWO:
            seldom.add(iteration, 1.0)
    in_common = {iteration for iteration, _ in often} & {iteration for iteration, _ in seldom}
    assert in_common >= {iteration for iteration in POWERS_OF_TWO if iteration < 10_000}


def test_what_is_no_number_is_counted_and_not_drawn():
    values = Values()
    values.sample(0, float("nan"), zero=False, nonfinite=True)
    values.sample(1, 2.0, zero=False, nonfinite=False)
    assert list(values.norms) == [(1, 2.0)]
    assert (values.sampled.count, values.nonfinite.count, values.zero.count) == (2, 1, 0)


def runs(*iterations: int) -> list[tuple[int, int, int]]:
    strides = Strides()
    for iteration in iterations:
        strides.add(iteration)
    return list(strides)


def test_even_strides_are_one():
    assert runs() == []
    assert runs(5) == [(5, 5, 1)]
    assert runs(0, 1, 2, 3) == [(0, 3, 1)]
    assert runs(0, 1, 2, 4, 8, 12, 16) == [(0, 2, 1), (4, 16, 4)]
    assert runs(*range(0, 3200, 32)) == [(0, 3168, 32)]


@given(st.sets(st.integers(0, 300)))
def test_strides_hold_every_iteration_once(iterations: set[int]):
    told = [
        i for first, last, step in runs(*sorted(iterations)) for i in range(first, last + 1, step)
    ]
    assert told == sorted(iterations)


def test_an_iteration_that_is_known_or_late_is_left_out():
    assert runs(3, 3, 4, 2) == [(3, 4, 1)]
