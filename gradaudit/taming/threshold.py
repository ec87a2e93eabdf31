"""From which severity on findings fail a run, a block or a test."""

from __future__ import annotations

from typing import Literal, TypeAlias

from gradaudit.model.findings import SEVERITIES, Finding, Severity
from gradaudit.model.report import Report

#: The quietest severity that fails it.
FailOn: TypeAlias = Literal["error", "warning", "note", "never"]


def loud(fail_on: FailOn) -> tuple[Severity, ...]:
    """List the severities that are at least as loud as the one that was named."""
    return () if fail_on == "never" else SEVERITIES[: SEVERITIES.index(fail_on) + 1]


def reaching(report: Report, fail_on: FailOn) -> tuple[Finding, ...]:
    """Find what is at least as loud as the severity that was named."""
    return tuple(finding for finding in report.findings if finding.severity in loud(fail_on))
