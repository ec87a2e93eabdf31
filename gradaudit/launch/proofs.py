"""What is proven by now and will count at the end.

Imports the rules and what tames them, and is imported only when the first of its answers is asked.
"""

from __future__ import annotations

from dataclasses import replace

from gradaudit.launch.sources import comments_of
from gradaudit.ledger.recording import Recording
from gradaudit.model.findings import Finding
from gradaudit.rules.case import Case
from gradaudit.rules.judge import proven
from gradaudit.taming.settings import Settings
from gradaudit.taming.tame import Decisions, certain


def certain_findings(
    recording: Recording, decisions: Decisions | None, cwd: str
) -> tuple[Finding, ...]:
    """Judge a run under way."""
    found = proven(Case(recording))
    paths = [finding.location.path for finding in found if finding.location is not None]
    decided = decisions or Decisions(Settings())
    return certain(found, replace(decided, comments=comments_of(paths, cwd)), cwd)
