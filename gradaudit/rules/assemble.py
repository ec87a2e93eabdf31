"""Recording -> Report.  STUB, being written."""

from __future__ import annotations

import platform

from gradaudit import __version__
from gradaudit.model.report import (
    SCHEMA_VERSION, Coverage, Environment, Gap, Report, Run, Summary, Tool,
)
from gradaudit.model.run import RunFacts


def assemble(recording: object | None, facts: RunFacts) -> Report:
    """Judge a recording; ``None`` means that torch was never imported."""
    del recording
    return Report(
        SCHEMA_VERSION, Tool("gradaudit", __version__),
        Environment(platform.python_version(), None, platform.platform(), ()),
        Run(facts.target, facts.argv, facts.cwd, facts.outcome, facts.exit_code, facts.exception,
            0, 0, 0, 0, facts.wall_seconds, 0.0),
        Coverage(0, (Gap("everything", "stub"),)), (), (), (), (), Summary(0, 0, 0),
    )
