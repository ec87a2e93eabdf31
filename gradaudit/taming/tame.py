"""A report, and what its reader decided, become the report that counts.

Nothing is lost on the way: what does not count is kept beside the findings, with the reason.
"""

from __future__ import annotations

import os.path
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from gradaudit.model.findings import SEVERITIES, Decider, Finding, Suppressed
from gradaudit.model.report import Report, Summary
from gradaudit.taming.baseline import Baseline, split
from gradaudit.taming.comments import Comment
from gradaudit.taming.settings import Ignore, Settings


@dataclass(frozen=True, slots=True)
class Decisions:
    """All that a reader has decided."""

    settings: Settings
    comments: tuple[Comment, ...] = ()
    baseline: Baseline | None = None


def tame(report: Report, decisions: Decisions) -> Report:
    """Suppress what was decided to be suppressed; grade, count and order the rest anew."""
    tamer = _Tamer(report.run.cwd, decisions)
    findings = tuple(filter(tamer.counts, map(tamer.graded, report.findings)))
    if decisions.baseline is not None:
        known, new = split(decisions.baseline, findings)
        for finding in known:
            tamer.suppress(finding, "baseline", f"known in {decisions.baseline.path}")
        findings = tuple(new)
    ordered = sorted(findings, key=lambda item: (SEVERITIES.index(item.severity), item.rule))
    return replace(
        report,
        findings=tuple(ordered),
        summary=Summary(
            *(sum(item.severity == severity for item in findings) for severity in SEVERITIES)
        ),
        suppressed=(*report.suppressed, *tamer.suppressed),
        unused_ignores=(*report.unused_ignores, *tamer.unused()),
    )


def certain(findings: Iterable[Finding], decisions: Decisions, cwd: str) -> tuple[Finding, ...]:
    """Keep the findings of a run under way that will count at its end, graded as then.

    Which parameters they are about may not be known in full, and with that their fingerprints.
    """
    tamer = _Tamer(cwd, decisions)
    baseline = decisions.baseline
    return tuple(
        finding
        for finding in filter(tamer.counts, map(tamer.graded, findings))
        if baseline is None or not baseline.may_know(finding)
    )


class _Tamer:
    """Asks every decision about every finding, and remembers which of them were of use."""

    def __init__(self, cwd: str, decisions: Decisions) -> None:
        self._cwd = cwd
        self._settings = decisions.settings
        self._comments = decisions.comments
        self._severity = dict(decisions.settings.severity)
        self._used: set[Ignore | Comment] = set()
        self.suppressed: list[Suppressed] = []

    def graded(self, finding: Finding) -> Finding:
        severity = self._severity.get(finding.rule)
        return finding if severity is None else replace(finding, severity=severity)

    def counts(self, finding: Finding) -> bool:
        """Whether nobody decided otherwise; of several who did, the first is told."""
        decisions = list(self._decisions(finding))
        if decisions:
            self.suppress(finding, *decisions[0])
        return not decisions

    def suppress(self, finding: Finding, by: Decider, reason: str) -> None:
        self.suppressed.append(Suppressed(finding, by, reason))

    def unused(self) -> list[str]:
        """Tell the ignores that ignored nothing, and those that nobody can follow."""
        settings = self._settings
        told = [
            f"{settings.source}: {kind} {', '.join(ignore.globs)}: no finding is about them"
            for kind, ignores in (("files", settings.files), ("parameters", settings.parameters))
            for ignore in ignores
            if ignore not in self._used
        ]
        for comment in self._comments:
            if comment not in self._used:
                problem = comment.problem or f"no {' or '.join(comment.rules)} is found here"
                told.append(f"{comment.path}:{comment.line}: {problem}")
        return told

    def _decisions(self, finding: Finding) -> Iterator[tuple[Decider, str]]:
        """Tell all that is decided about a finding, and remember what was of use."""
        settings = self._settings
        if settings.select and finding.rule not in settings.select:
            yield "setting", f"not selected in {settings.source}"
        if finding.rule in settings.ignore:
            yield "setting", f"ignored in {settings.source}"
        for comment in self._comments:
            if finding.rule in comment.rules and _on_line(finding, comment):
                self._used.add(comment)
                yield "comment", comment.reason or f"ignored at {comment.path}:{comment.line}"
        for ignores, applies in (
            (settings.files, self._in_file),
            (settings.parameters, _all_named),
        ):
            for ignore in ignores:
                if ignore.concerns(finding.rule) and applies(finding, ignore):
                    self._used.add(ignore)
                    yield "setting", ignore.reason

    def _in_file(self, finding: Finding, ignore: Ignore) -> bool:
        if finding.location is None:
            return False
        path = os.path.normpath(os.path.join(self._cwd, finding.location.path))  # noqa: PTH118
        root = self._settings.root.rstrip("/")
        below = path.removeprefix(f"{root}/") if root else finding.location.path
        return ignore.names(below)


def _on_line(finding: Finding, comment: Comment) -> bool:
    place = finding.location
    if place is None or place.path != comment.path:
        return False
    return place.line <= comment.line <= (place.end_line or place.line)


def _all_named(finding: Finding, ignore: Ignore) -> bool:
    """Whether it is about nothing else; of one that is, the message would not be true any more."""
    return bool(finding.parameters) and all(map(ignore.names, finding.parameters))
