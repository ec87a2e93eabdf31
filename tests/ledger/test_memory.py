from __future__ import annotations

import gc
import random
import tracemalloc

from gradaudit.ledger.cohorts import Cohorts
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


def test_experts_chosen_at_random_do_not_grow_the_cohorts():
    chance = random.Random(0)  # noqa: S311 - no secret
    cohorts = Cohorts()
    for leaf in range(32):
        cohorts.add(leaf, frozen=False, iteration=0)

    def choose(times: int) -> int:
        for _ in range(times):
            cohorts.select(frozenset(chance.sample(range(32), 8)))
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = choose(200)
        grown = choose(3_000) - before
    finally:
        tracemalloc.stop()
    assert grown < 2**20
