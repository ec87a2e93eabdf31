"""Reports -> Report: what several processes have seen of one training.

What is the same in several of them is told once, with the ranks it is true of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from gradaudit.ledger.values import Strides
from gradaudit.model.findings import SEVERITIES
from gradaudit.model.report import (
    Coverage,
    Gap,
    Outcome,
    RankInfo,
    Report,
    Run,
    Stride,
    Summary,
)
from gradaudit.rules import alike
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
    marked = alike.with_common_backwards(marked)
    findings = judge_ranks(Ranks(marked, alike.findings(marked)))
    everyone = [info for report in marked for info in infos(report)]
    everyone.sort(key=lambda info: info.rank)
    return replace(
        marked[0],
        run=_run(everyone, marked[0].run if frame is None else frame, framed=frame is not None),
        coverage=_coverage(marked, everyone),
        loops=alike.loops(marked),
        optimizers=alike.optimizers(marked),
        parameters=tuple(alike.parameters(marked)),
        findings=findings,
        summary=Summary(
            *(sum(item.severity == severity for item in findings) for severity in SEVERITIES)
        ),
        suppressed=alike.suppressed(marked),
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
        _sampled(reports),
    )


def _sampled(reports: Sequence[Report]) -> tuple[Stride, ...]:
    """The iterations that at least one process has sampled."""
    iterations = Strides()
    runs = {run for report in reports for run in report.coverage.sampled}
    for iteration in sorted({each for run in runs for each in _iterations(run)}):
        iterations.add(iteration)
    return tuple(Stride(*run) for run in iterations)


def _iterations(run: Stride) -> range:
    return range(run.first, run.last + 1, run.step)


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
