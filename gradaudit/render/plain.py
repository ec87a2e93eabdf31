"""The report, or findings of it, as plain text: for messages, and where there is no stream."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text

from gradaudit.model.findings import Finding
from gradaudit.model.report import Report
from gradaudit.render.console import finding_lines, report_lines
from gradaudit.render.terminal import Paper


def plain_report(report: Report) -> str:
    """Tell all that :mod:`gradaudit.render.console` tells."""
    return _joined(report_lines(report, Paper()))


def plain_findings(report: Report, findings: Iterable[Finding]) -> str:
    """Tell some findings in full, and nothing else."""
    paper = Paper()
    known = [paper.clean(parameter.name) for parameter in report.parameters]
    told = (_joined(finding_lines(finding, known, report, paper)) for finding in findings)
    return "\n\n".join(told)


def _joined(lines: Iterable[Text]) -> str:
    return "\n".join(line.plain for line in lines)
