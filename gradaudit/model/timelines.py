"""Timelines: with too many runs, told in fewer; with the values of gradients told in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from gradaudit.model.report import State, TimelineRun
from gradaudit.model.sites import Site

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

#: The states that say what a gradient was, and not what became of it.
Worthless = Literal["zero", "nonfinite"]

GRAVITY: dict[State, int] = {state: index for index, state in enumerate(STATES)}

#: How many backwards are told of one run; of more, the first.
BACKWARDS = 8

_APPLIED: tuple[State, ...] = ("stale", "accumulated", "fresh")


@dataclass(slots=True)
class Period:
    """A run of a timeline that is still being written; ``backwards`` are the places themselves."""

    first: int
    last: int
    state: State
    contributions: int
    mixed: bool = False
    backwards: tuple[Site, ...] = ()


@dataclass(frozen=True, slots=True)
class Stretch:
    """From ``first`` to ``last`` all samples of a gradient were zero, or had NaN or Inf.

    The first iteration is that of a sample; so is the last, unless it is that of the run.
    """

    first: int
    last: int
    state: Worthless


# -- in fewer runs ---------------------------------------------------------------------------------

_Run = TypeVar("_Run", TimelineRun, Period)


def coarsened(timeline: Sequence[_Run], room: int) -> Sequence[_Run]:
    """Join neighbouring runs until there are no more than ``room``."""
    if len(timeline) <= room:
        return timeline
    step = math.ceil(len(timeline) / room)
    return [_joined(timeline[at : at + step]) for at in range(0, len(timeline), step)]


def _joined(runs: Sequence[_Run]) -> _Run:
    if len(runs) == 1:
        return runs[0]
    gravest = min(runs, key=lambda run: GRAVITY[run.state])
    backwards = dict.fromkeys(place for run in runs for place in run.backwards)
    return replace(
        gravest,
        first=runs[0].first,
        last=runs[-1].last,
        mixed=True,
        backwards=tuple(backwards)[:BACKWARDS],
    )


# -- values ----------------------------------------------------------------------------------------


def with_values(
    timeline: Sequence[TimelineRun], stretches: Sequence[Stretch]
) -> Iterator[TimelineRun]:
    """Tell what was applied as zero or nonfinite where it was, unless its life is graver still.

    The stretches come in order.  Nothing else of a timeline is changed: see :func:`lives`.
    """
    at = 0
    for run in timeline:
        while at < len(stretches) and stretches[at].last < run.first:
            at += 1
        first, behind = run.first, at
        while behind < len(stretches) and stretches[behind].first <= run.last:
            stretch = stretches[behind]
            start, end = max(stretch.first, first), min(stretch.last, run.last)
            if _shows(stretch, run) and start <= end:
                if first < start:
                    yield replace(run, first=first, last=start - 1)
                yield replace(run, first=start, last=end, state=stretch.state, life=life(run))
                first = end + 1
            behind += 1
        if first <= run.last:
            yield replace(run, first=first)


def _shows(stretch: Stretch, run: TimelineRun) -> bool:
    return life(run) in _APPLIED and GRAVITY[stretch.state] < GRAVITY[run.state]


def stretches_of(timelines: Iterable[Sequence[TimelineRun]]) -> list[Stretch]:
    """What some timelines tell of values, in order."""
    stretches = (
        Stretch(run.first, run.last, run.state)
        for timeline in timelines
        for run in timeline
        if run.state == "zero" or run.state == "nonfinite"
    )
    return sorted(stretches, key=lambda stretch: stretch.first)


def life(run: TimelineRun) -> State:
    """What became of the gradient in a run, whatever its values were."""
    return run.life or run.state


def lives(timeline: Iterable[TimelineRun]) -> list[TimelineRun]:
    """Undo :func:`with_values`: values are sampled, now here, now there; lives can be compared."""
    plain: list[TimelineRun] = []
    for run in timeline:
        lived = replace(run, state=life(run), life=None, backwards=())
        if plain and plain[-1] == replace(lived, first=plain[-1].first, last=plain[-1].last):
            plain[-1] = replace(plain[-1], last=lived.last)
        else:
            plain.append(lived)
    return plain
