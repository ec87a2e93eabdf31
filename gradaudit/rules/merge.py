"""Reports -> Report: what several processes have seen of one training.

What is the same in several of them is told once, with the ranks it is true of.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from gradaudit.model.findings import SEVERITIES, Finding, Suppressed
from gradaudit.model.report import (
    Coverage,
    Gap,
    Loop,
    LoopEvent,
    OptimizerInfo,
    Outcome,
    ParameterInfo,
    RankInfo,
    Report,
    Run,
    Summary,
    TimelineRun,
)
from gradaudit.rules.judge import judge_ranks
from gradaudit.rules.ranks import Ranks, infos
from gradaudit.rules.words import in_a_row, in_ranks

_T = TypeVar("_T")

#: From the ending that matters most to the one that matters least.
_OUTCOMES: tuple[Outcome, ...] = ("failed", "interrupted", "stopped", "completed")


def merge(reports: Sequence[Report], frame: Run | None = None) -> Report:
    """Merge the reports of several processes, merged ones among them.

    ``frame`` is the run of the process that the user started, if that one is none of them.
    """
    marked = sorted(_marked(reports), key=lambda report: infos(report)[0].rank)
    findings = judge_ranks(Ranks(marked, _findings(marked)))
    everyone = [info for report in marked for info in infos(report)]
    everyone.sort(key=lambda info: info.rank)
    return replace(
        marked[0],
        run=_run(everyone, marked[0].run if frame is None else frame, framed=frame is not None),
        coverage=_coverage(marked, everyone),
        loops=_loops(marked),
        optimizers=_optimizers(marked),
        parameters=tuple(_parameters(marked)),
        findings=findings,
        summary=Summary(
            *(sum(item.severity == severity for item in findings) for severity in SEVERITIES)
        ),
        suppressed=_suppressed(marked),
        unused_ignores=tuple(
            dict.fromkeys(line for report in marked for line in report.unused_ignores)
        ),
        ranks=tuple(everyone),
    )


# -- who is who ------------------------------------------------------------------------------------


def _marked(reports: Sequence[Report]) -> list[Report]:
    """Mark everything with its ranks; without a world in common, processes are just counted."""
    processes = [info for report in reports for info in infos(report)]
    numbers = [info.rank for info in processes]
    one_world = {info.world_size for info in processes}
    if len(set(numbers)) == len(numbers) and len(one_world) == 1 and min(one_world) > 1:
        return [_renumbered(report, {rank: rank for rank in numbers}) for report in reports]
    counted = iter(range(len(numbers)))
    return [
        _renumbered(report, {info.rank: next(counted) for info in infos(report)}, counted=True)
        for report in reports
    ]


def _renumbered(report: Report, numbers: dict[int, int], *, counted: bool = False) -> Report:
    own = infos(report)

    def ranks(known: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(numbers[rank] for rank in known or (info.rank for info in own))

    return replace(
        report,
        ranks=tuple(
            replace(info, rank=numbers[info.rank], world_size=1 if counted else info.world_size)
            for info in own
        ),
        findings=tuple(replace(item, ranks=ranks(item.ranks)) for item in report.findings),
        parameters=tuple(replace(info, ranks=ranks(info.ranks)) for info in report.parameters),
        suppressed=tuple(
            replace(item, finding=replace(item.finding, ranks=ranks(item.finding.ranks)))
            for item in report.suppressed
        ),
    )


# -- the run ---------------------------------------------------------------------------------------


def _run(processes: Sequence[RankInfo], frame: Run, *, framed: bool) -> Run:
    """The run as a whole: it ended as the process did that ended worst.

    The exit code is that of the process which the user started, if we know it.
    """
    ends: tuple[Run | RankInfo, ...] = (frame, *processes)
    worst = min(ends, key=lambda end: _OUTCOMES.index(end.outcome))
    raised = [end for end in ends if end.exception is not None]
    first = min(raised, key=lambda end: end.wall_seconds, default=None)  # others are what follows
    return replace(
        frame,
        outcome=worst.outcome,
        exit_code=frame.exit_code if framed else worst.exit_code,
        exception=None if first is None else first.exception,
        iterations=max(info.iterations for info in processes),
        backward_calls=sum(info.backward_calls for info in processes),
        optimizer_steps=sum(info.optimizer_steps for info in processes),
        zero_grad_calls=sum(info.zero_grad_calls for info in processes),
        wall_seconds=max(end.wall_seconds for end in ends),
        audit_seconds=max(info.audit_seconds for info in processes),
        rank=processes[0].rank,
        world_size=max(len(processes), *(info.world_size for info in processes)),
    )


def _coverage(reports: Sequence[Report], processes: Sequence[RankInfo]) -> Coverage:
    gaps: dict[tuple[str, str], list[int]] = {}
    for report in reports:
        for gap in report.coverage.gaps:
            ranks = gaps.setdefault((gap.what, gap.why), [])
            ranks += (info.rank for info in infos(report))
    missing = _missing(processes)
    return Coverage(
        max(report.coverage.probed_iterations for report in reports),
        (
            *missing,
            *(
                Gap(what, why if len(ranks) == len(processes) else f"{why}; {in_ranks(ranks)}")
                for (what, why), ranks in gaps.items()
            ),
        ),
    )


def _missing(processes: Sequence[RankInfo]) -> tuple[Gap, ...]:
    """Tell of the ranks of the world that left no report."""
    size = max(info.world_size for info in processes)
    absent = sorted(set(range(size)) - {info.rank for info in processes})
    if size == 1 or not absent:
        return ()
    one = len(absent) == 1
    return (
        Gap(
            f"{'rank' if one else 'ranks'} {in_a_row(absent)}",
            f"no report of {'it' if one else 'them'} was there: still running, killed before the "
            "first was saved, or on another machine (`gradaudit merge` puts those together)",
        ),
    )


# -- findings --------------------------------------------------------------------------------------


def _findings(reports: Sequence[Report]) -> list[Finding]:
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


def _suppressed(reports: Sequence[Report]) -> tuple[Suppressed, ...]:
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


def _parameters(reports: Sequence[Report]) -> Iterable[ParameterInfo]:
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
    return [replace(run, last=min(run.last, end)) for run in timeline if run.first <= end]


def _one_life(alike: Sequence[ParameterInfo]) -> ParameterInfo:
    return replace(alike[0], ranks=_united(info.ranks for info in alike))


def _end(timeline: Sequence[TimelineRun]) -> int:
    return timeline[-1].last if timeline else -1


# -- places ----------------------------------------------------------------------------------------


def _loops(reports: Sequence[Report]) -> tuple[Loop, ...]:
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


def _optimizers(reports: Sequence[Report]) -> tuple[OptimizerInfo, ...]:
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
