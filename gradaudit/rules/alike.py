"""What several reports say alike, said once: findings, lives, places.

Every parameter and finding that comes in is marked with its ranks.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from gradaudit.model.findings import SEVERITIES, Finding, Suppressed
from gradaudit.model.report import (
    Loop,
    LoopEvent,
    OptimizerInfo,
    ParameterInfo,
    Report,
    TimelineRun,
)
from gradaudit.model.sites import Location
from gradaudit.model.timelines import lives, stretches_of, with_values
from gradaudit.rules.words import in_ranks

_T = TypeVar("_T")


# -- findings --------------------------------------------------------------------------------------


def findings(reports: Sequence[Report]) -> list[Finding]:
    """Every finding once, as loud as its loudest."""
    return [
        replace(
            twins[0],
            severity=min((twin.severity for twin in twins), key=SEVERITIES.index),
            ranks=_united(twin.ranks for twin in twins),
        )
        for twins in _grouped(
            (item for report in reports for item in report.findings),
            lambda item: item.fingerprint,
        )
    ]


def suppressed(reports: Sequence[Report]) -> tuple[Suppressed, ...]:
    """Every suppressed finding once."""
    return tuple(
        replace(
            twins[0],
            finding=replace(twins[0].finding, ranks=_united(twin.finding.ranks for twin in twins)),
        )
        for twins in _grouped(
            (item for report in reports for item in report.suppressed),
            lambda item: (item.finding.fingerprint, item.by, item.reason),
        )
    )


# -- lives -----------------------------------------------------------------------------------------


def parameters(reports: Sequence[Report]) -> Iterable[ParameterInfo]:
    """Every parameter once for every life that it had; the name is that of the commonest life."""
    for copies in _grouped(
        (info for report in reports for info in report.parameters), lambda info: info.name
    ):
        lives = [_one_life(alike) for alike in _alike(copies)]
        lives.sort(key=lambda info: -len(info.ranks))
        yield lives[0]
        for info in lives[1:]:
            yield replace(info, name=f"{info.name} ({in_ranks(info.ranks)})")


def _alike(copies: Iterable[ParameterInfo]) -> list[list[ParameterInfo]]:
    """Those that lived alike together, the longest of them first."""
    lives: list[list[ParameterInfo]] = []
    for info in sorted(copies, key=lambda info: -_end(info.timeline)):
        for life in lives:
            if _is_part_of(info, life[0]):
                life.append(info)
                break
        else:
            lives.append([info])
    return lives


def _is_part_of(info: ParameterInfo, longer: ParameterInfo) -> bool:
    """Whether it lived as the other did, as far as it came; its last iteration may be half one."""
    end = _end(info.timeline)
    if end < _end(longer.timeline):
        end -= 1
    until, other = _until(info.timeline, end), _until(longer.timeline, end)
    return info.shape == longer.shape and until == other


def _until(timeline: Sequence[TimelineRun], end: int) -> list[TimelineRun]:
    return [replace(run, last=min(run.last, end)) for run in lives(timeline) if run.first <= end]


def _one_life(alike: Sequence[ParameterInfo]) -> ParameterInfo:
    """The longest life, worthless wherever one of the others was."""
    others = [info.timeline for info in alike[1:]]
    return replace(
        alike[0],
        timeline=tuple(with_values(alike[0].timeline, stretches_of(others))),
        ranks=_united(info.ranks for info in alike),
    )


def _end(timeline: Sequence[TimelineRun]) -> int:
    return timeline[-1].last if timeline else -1


# -- places ----------------------------------------------------------------------------------------


def with_common_backwards(reports: Sequence[Report]) -> list[Report]:
    """Let the timelines of all reports refer to the same backwards."""
    number: dict[Location, int] = {}
    for report in reports:
        for place in report.backwards:
            number.setdefault(place, len(number))
    return [_with_backwards(report, number) for report in reports]


def _with_backwards(report: Report, number: dict[Location, int]) -> Report:
    numbers = [number[place] for place in report.backwards]
    common = replace(report, backwards=tuple(number))
    if numbers == list(range(len(numbers))):
        return common
    return replace(
        common,
        parameters=tuple(
            replace(info, timeline=tuple(_referring(run, numbers) for run in info.timeline))
            for info in report.parameters
        ),
    )


def _referring(run: TimelineRun, numbers: Sequence[int]) -> TimelineRun:
    return replace(run, backwards=tuple(numbers[index] for index in run.backwards))


def loops(reports: Sequence[Report]) -> tuple[Loop, ...]:
    """Every loop once, with the most that was seen of it."""
    return tuple(
        replace(
            twins[0],
            passes=max(twin.passes for twin in twins),
            events=_events(event for twin in twins for event in twin.events),
        )
        for twins in _grouped(
            (loop for report in reports for loop in report.loops), lambda loop: loop.location
        )
    )


def _events(events: Iterable[LoopEvent]) -> tuple[LoopEvent, ...]:
    return tuple(
        replace(twins[0], count=max(twin.count for twin in twins))
        for twins in _grouped(events, lambda event: (event.kind, event.location))
    )


def optimizers(reports: Sequence[Report]) -> tuple[OptimizerInfo, ...]:
    """Every optimizer once, with all that it ever had in any process."""
    return tuple(
        replace(
            twins[0],
            parameters=tuple(dict.fromkeys(name for twin in twins for name in twin.parameters)),
            steps=max(twin.steps for twin in twins),
        )
        for twins in _grouped(
            (optimizer for report in reports for optimizer in report.optimizers),
            lambda optimizer: (optimizer.name, optimizer.type, optimizer.location),
        )
    )


def _grouped(items: Iterable[_T], key: Callable[[_T], Hashable]) -> list[list[_T]]:
    """What has the same key together, in order of appearance."""
    groups: dict[Hashable, list[_T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return list(groups.values())


def _united(ranks: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sorted({rank for some in ranks for rank in some}))
