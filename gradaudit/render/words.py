"""The sentences that every reporter says alike: how it went, how much was seen, where, how often.

No character is escaped here: what is quoted is cleaned by the reporter, which knows for whom.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradaudit.model.findings import SEVERITIES, Finding, Span
from gradaudit.model.report import Outcome, Report, Run
from gradaudit.model.sites import Location
from gradaudit.rules.words import in_ranks

Tone = Literal["error", "warning", "healthy"]

_ENDINGS: dict[Outcome, str] = {
    "completed": "",
    "failed": "; it failed",
    "stopped": "; stopped at the limit",
    "interrupted": "; interrupted",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """How it went in a word or two, from how much that is known, and in which tone to say it."""

    headline: str
    told: str
    tone: Tone


def verdict(report: Report) -> Verdict:
    """Sum a report up."""
    summary, run = report.summary, report.run
    counts = {"error": summary.error, "warning": summary.warning, "note": summary.note}
    found = ", ".join(count(number, noun) for noun, number in counts.items() if number)
    aside = f" ({put_aside(report)})" if report.suppressed else ""
    if summary.error or summary.warning:
        return Verdict(found + aside, extent(report), "error" if summary.error else "warning")
    if not found and not run.backward_calls:
        return Verdict("nothing to audit", _absence(report), "warning")
    notes = (f", {found}" if found else "") + aside
    if run.outcome in ("failed", "interrupted"):
        return Verdict(f"nothing wrong so far{notes}", extent(report), "warning")
    if report.suppressed:
        return Verdict(f"{found or 'nothing else'}{aside}", extent(report), "healthy")
    told = extent(report) if found else f"{extent(report)}; nothing to report"
    return Verdict(f"healthy{notes}", told, "healthy")


def put_aside(report: Report) -> str:
    """Count the findings that do not count: those known before, and those ignored."""
    known = sum(item.by == "baseline" for item in report.suppressed)
    ignored = len(report.suppressed) - known
    counts = {"known": known, "ignored": ignored}
    return ", ".join(f"{number:,} {word}" for word, number in counts.items() if number)


def loudest_first(report: Report) -> list[Finding]:
    """Order the findings by severity, and otherwise as the report has them."""
    return sorted(report.findings, key=lambda finding: SEVERITIES.index(finding.severity))


def who(report: Report) -> str:
    """Name ourselves, and the rank when there are several, or how many were merged."""
    run = report.run
    if report.ranks:
        one, many = processes(report)
        return f"gradaudit, {len(report.ranks)} {one if len(report.ranks) == 1 else many}"
    return "gradaudit" if run.world_size == 1 else f"gradaudit, rank {run.rank} of {run.world_size}"


def processes(report: Report) -> tuple[str, str]:
    """What to call the processes of a merged report: ranks of a world, or else just that."""
    in_a_world = all(info.world_size > 1 for info in report.ranks)
    return ("rank", "ranks") if in_a_world else ("process", "processes")


def extent(report: Report) -> str:
    """Say how much was seen, and how it ended."""
    run = report.run
    counts = (
        count(run.iterations, "iteration"),
        count(len(report.parameters), "parameter"),
        count(run.backward_calls, "backward call"),
        count(run.optimizer_steps, "step"),
    )
    return ", ".join(counts) + _ending(run)


def depth(report: Report) -> str:
    """Say how closely the iterations were looked at."""
    total, probed = report.run.iterations, report.coverage.probed_iterations
    if not total or not probed:
        return ""
    first = f"The first {probed:,} of {count(total, 'iteration')} were probed closely, the others"
    closely = f"{first} watched" if probed < total else "All iterations were probed closely"
    sampled = sum((run.last - run.first) // run.step + 1 for run in report.coverage.sampled)
    values = f"; the values of gradients were sampled in {sampled:,}" if sampled else ""
    return f"{closely}{values}."


def seen_in(finding: Finding, report: Report) -> str:
    """Say in which iterations a finding was seen, and in which ranks."""
    ranks = in_ranks(finding.ranks, *processes(report)) if report.ranks and finding.ranks else ""
    return ", ".join(filter(None, (_iterations(finding.iterations, report.run.iterations), ranks)))


def _iterations(span: Span | None, total: int) -> str:
    """Say in how many iterations, and in which, unless that was all of them."""
    if span is None:
        return ""
    share = f"{span.count:,} of " if total >= span.count else ""
    seen = f"in {share}{count(max(total, span.count), 'iteration')}"
    if span.count == total:
        return seen
    last = "" if span.last == span.first else f" to {span.last:,}"
    return f"{seen} ({span.first:,}{last})"


def ended_with(run: Run) -> str:
    """Name the exception that ended it; the report may be read long after the traceback."""
    if run.exception is None:
        return ""
    message = " ".join(run.exception.message.split())
    what = ": ".join(filter(None, (run.exception.type, message)))
    where = run.exception.location
    return f"{what} ({path_line_column(where)})" if where else what


def path_line_column(location: Location) -> str:
    """Write a place as editors and terminals understand it."""
    column = "" if location.column is None else f":{location.column}"
    return f"{location.path}:{location.line}{column}"


def inside(location: Location) -> str:
    """Name the function that a place lies in; the module itself is none."""
    function = location.function
    return function if function and function != "<module>" else ""


def seconds(amount: float) -> str:
    """Tell a time as finely as it matters."""
    return f"{amount:,.1f} s" if amount < 100 else f"{amount:,.0f} s"


def count(number: int, noun: str) -> str:
    """``1 step``, ``1,000 steps``."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _absence(report: Report) -> str:
    told = (gap.why for gap in report.coverage.gaps if gap.what == "everything")
    missing = next(told, "no backward call was seen")
    return missing + _ending(report.run)


def _ending(run: Run) -> str:
    return f"; stopped by {run.stopped_by}" if run.stopped_by else _ENDINGS[run.outcome]
