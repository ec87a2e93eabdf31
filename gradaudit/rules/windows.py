"""Windows of accumulation: what a step usually applies, and what clearings take out of them."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.life import Life
from gradaudit.ledger.tally import SiteTally
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case

#: From how many contributions on it is no accident.
UNBOUNDED = 4


def typical_window(case: Case, leaf: int) -> int:
    """How many contributions a step applies, in most iterations that applied any."""
    weights: dict[int, int] = {}
    for run in case.life(leaf).timeline:
        if run.state in ("fresh", "accumulated", "stale"):
            weight = run.last - run.first + 1
            weights[run.contributions] = weights.get(run.contributions, 0) + weight
    return max(weights, key=weights.__getitem__) if weights else 0


def wiped(case: Case) -> list[int]:
    """Leaves of which much was lost to clearings between steps that applied something else."""
    fruitless, unstepped = case.fruitless, case.unstepped
    return [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed and _wiped_inside(case, leaf, fruitless, unstepped)
    ]


def _wiped_inside(
    case: Case, leaf: int, fruitless: frozenset[Site], unstepped: frozenset[Site]
) -> bool:
    life = case.life(leaf)
    if life.lost.count < 2 or not life.applied or life.lost.count < life.applied.count:
        return False
    if life.lost_from <= fruitless | (unstepped - set(life.applied_from)):
        return False  # what they were called for is cut off, or never stepped; that has been told
    window = typical_window(case, leaf)
    if window < 2:
        return True
    whole = sum(times for count, times in life.lost_at_once.items() if count >= window)
    return whole >= max(life.applied.count, 2)  # else it is the rest of a longer window


def backwards_lost(life: Life) -> int:
    """How many backwards were computed for nothing."""
    return sum(count * times for count, times in life.lost_at_once.items())


def mostly_starved(life: Life) -> Iterator[tuple[bool, bool, SiteTally]]:
    """The clearings that leave nothing to most of its steps, with these steps.

    Told apart by whether they are done by hand, and whether they leave nothing to the whole
    optimizer.
    """
    steps = life.missing.count + life.applied.count
    for (by_hand, whole), tally in life.starved.items():
        if 2 * tally.count >= steps:
            yield by_hand, whole, tally


def starved_in_windows(case: Case) -> dict[int, SiteTally]:
    """Leaves that are mostly starved by clearings which take only a part from others.

    A clearing between several losses that are backpropagated one by one leaves each parameter what
    the last of them gives it, which may be nothing.
    """
    starving = {
        leaf: found[2]
        for leaf in case.recording.leaves
        if (found := next(mostly_starved(case.life(leaf)), None)) is not None
    }
    places = {
        _place(case.life(leaf).lost.main_site()) for leaf in wiped(case) if leaf not in starving
    }
    return {leaf: tally for leaf, tally in starving.items() if _place(tally.main_site()) in places}


def _place(site: Site | None) -> tuple[str, int] | None:
    return None if site is None else (site.location.path, site.location.line)
