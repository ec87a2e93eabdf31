"""What is said while the script still runs: lines without colour, as it may own the terminal."""

from __future__ import annotations

from gradaudit.model.findings import Finding
from gradaudit.render.unicode import visible
from gradaudit.render.words import count, path_line_column


def finding_line(finding: Finding) -> str:
    """Tell a finding in one line."""
    place = "" if finding.location is None else f" --> {path_line_column(finding.location)}"
    told = f"{finding.severity}[{finding.rule}] {finding.name}: {finding.message}{place}"
    return visible(told)


def title(iterations: int, rate: float, share: float) -> str:
    """Tell how far it is, in a terminal's title; ``share`` is the audit's part of the time."""
    speed = f"{rate:,.0f}" if rate >= 99.5 else f"{rate:.2g}"
    return f"gradaudit: {count(iterations, 'iteration')}, {speed}/s, audit {100 * share:.1f} %"
