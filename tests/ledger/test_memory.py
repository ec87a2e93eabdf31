from __future__ import annotations

import gc
import tracemalloc

from gradaudit.model import events as ev

from .story import Story, at

EVERYTHING = frozenset(range(300))
NOBODY: frozenset[int] = frozenset()


def test_a_steady_run_does_not_grow():
    story = Story(*EVERYTHING)
    story.optimizer(0, *EVERYTHING)
    feed = story.ledger.feed
    events = (
        ev.ZeroGradCalled(at("zero"), EVERYTHING),
        ev.Cleared(at("zero"), EVERYTHING, EVERYTHING, by_hand=False, to_none=True),
        ev.Backward(at("backward"), "loss", EVERYTHING),
        ev.Stepped(at("step"), 0, EVERYTHING, NOBODY),
    )

    def fold(iterations: int) -> int:
        for _ in range(iterations):
            for event in events:
                feed(event)
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = fold(500)
        grown = fold(20_000) - before
    finally:
        tracemalloc.stop()
    assert story.end().iterations == 20_500
    assert grown < 2**20
