"""What a steady run costs the ledger: ``python -m tests.benchmarks.ledger_memory``.

Folds the three events of one training iteration over and over, interned as the observers intern
them, and prints the time and the growth of memory after a warm-up.
"""

from __future__ import annotations

import argparse
import gc
import resource
import sys
import time
import tracemalloc

from gradaudit.ledger.ledger import Ledger
from gradaudit.model import events as ev
from gradaudit.model.sites import Location, Site

WARM_UP = 1_000


def steady_run(parameters: int) -> tuple[Ledger, tuple[ev.Event, ...]]:
    """A ledger that knows a model and its optimizer, and the events of one iteration."""
    ledger = Ledger()
    members = frozenset(range(parameters))
    nobody: frozenset[int] = frozenset()
    for leaf in members:
        ledger.feed(ev.LeafSeen(leaf, "parameter", requires_grad=True))
    ledger.feed(ev.OptimizerSeen(0, None, members))
    zero, backward, step = (Site(Location("train.py", line)) for line in (10, 11, 12))
    return ledger, (
        ev.ZeroGradCalled(zero, members),
        ev.Cleared(zero, members, members, by_hand=False, to_none=True),
        ev.Backward(backward, "loss", members),
        ev.Stepped(step, 0, members, nobody),
    )


def fold(ledger: Ledger, events: tuple[ev.Event, ...], iterations: int) -> None:
    """Feed the events of so many iterations."""
    feed = ledger.feed
    for _ in range(iterations):
        for event in events:
            feed(event)


def traced_growth(iterations: int, parameters: int = 300) -> int:
    """Bytes that the ledger holds more after so many iterations than after the warm-up."""
    ledger, events = steady_run(parameters)
    tracemalloc.start()
    try:
        fold(ledger, events, WARM_UP)
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        fold(ledger, events, iterations)
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if ledger.iterations != WARM_UP + iterations:
        raise RuntimeError(f"{ledger.iterations} iterations were seen")
    return after - before


def resident() -> int:
    """The peak of resident memory, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=1_000_000)
    parser.add_argument("--parameters", type=int, default=300)
    asked = parser.parse_args()
    ledger, events = steady_run(asked.parameters)
    fold(ledger, events, WARM_UP)
    gc.collect()
    peak = resident()
    began = time.perf_counter()
    fold(ledger, events, asked.iterations)
    seconds = time.perf_counter() - began
    ledger.close()
    lines = (
        f"iterations   {asked.iterations:,} of {asked.parameters} parameters",
        f"time         {seconds:.2f} s, "
        f"{seconds / asked.iterations / len(events) * 1e9:.0f} ns an event, "
        f"{seconds / asked.iterations * 1e6:.2f} us an iteration",
        f"ru_maxrss    +{(resident() - peak) / 1024:.0f} KiB over {peak / 1024**2:.1f} MiB",
        f"tracemalloc  {traced_growth(asked.iterations, asked.parameters):+,} bytes",
    )
    sys.stdout.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
