"""How often something happened, and in how many iterations."""

from __future__ import annotations

from gradaudit.ledger.tally import Tally
from gradaudit.model.findings import Span


def test_the_span_counts_iterations_and_the_tally_what_happened_in_them():
    tally = Tally()
    assert tally.span() is None
    for iteration in (2, 2, 3, 3, 5):
        tally.add(iteration)
    assert tally.count == 5
    assert tally.span() == Span(2, 5, 4)  # not more than there were
