"""Timelines with too many runs, told in fewer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradaudit.model.report import State, TimelineRun

#: All states, the gravest first.
STATES: tuple[State, ...] = (
    "nonfinite",
    "stale",
    "discarded",
    "unapplied",
    "zero",
    "none",
    "accumulated",
    "fresh",
    "frozen",
)

GRAVITY: dict[State, int] = {state: index for index, state in enumerate(STATES)}


def coarsened(timeline: Sequence[TimelineRun], room: int) -> Sequence[TimelineRun]:
    """Join neighbouring runs until there are no more than ``room``."""
    if len(timeline) <= room:
        return timeline
    step = math.ceil(len(timeline) / room)
    return [_joined(timeline[at : at + step]) for at in range(0, len(timeline), step)]


def _joined(runs: Sequence[TimelineRun]) -> TimelineRun:
    if len(runs) == 1:
        return runs[0]
    gravest = min(runs, key=lambda run: GRAVITY[run.state])
    return TimelineRun(
        runs[0].first, runs[-1].last, gravest.state, gravest.contributions, mixed=True
    )
