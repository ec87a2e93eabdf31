"""From which severity on findings fail a run, a block or a test."""

from __future__ import annotations

from typing import Literal, TypeAlias

from gradaudit.model.findings import SEVERITIES, Finding
from gradaudit.model.report import Report

#: The quietest severity that fails it.
FailOn: TypeAlias = Literal["error", "warning", "note", "never"]


def reaching(report: Report, fail_on: FailOn) -> tuple[Finding, ...]:
    """Find what is at least as loud as the severity that was named."""
    if fail_on == "never":
        return ()
    loud = SEVERITIES[: SEVERITIES.index(fail_on) + 1]
    return tuple(finding for finding in report.findings if finding.severity in loud)
