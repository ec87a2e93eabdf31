"""Norms by iteration: few, evenly spread, and only numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest

from gradaudit.ledger.values import NORMS, Norms, Values


@pytest.mark.parametrize("count", [1, NORMS, NORMS + 1, 2 * NORMS, 10_000])
def test_norms_are_thinned_evenly(count):
    norms = Norms()
    for iteration in range(count):
        norms.add(iteration, float(iteration))
    kept = [iteration for iteration, norm in norms if norm == iteration]
    assert min(count, NORMS // 2) <= len(kept) <= NORMS
    assert kept[0] == 0
    assert len({later - earlier for earlier, later in pairwise(kept)}) <= 1
    assert count - kept[-1] <= max(2 * count // NORMS, 1) * 2


def test_what_is_no_number_is_counted_and_not_drawn():
    values = Values()
    values.sample(0, float("nan"), zero=False, nonfinite=True)
    values.sample(1, 2.0, zero=False, nonfinite=False)
    assert list(values.norms) == [(1, 2.0)]
    assert (values.sampled.count, values.nonfinite.count, values.zero.count) == (2, 1, 0)
