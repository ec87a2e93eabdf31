"""Makes the report of a run, and brings it to every place where it was asked for.

All of it happens under the surroundings of before the script: see :mod:`.surroundings`.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, TextIO

from gradaudit.launch.ending import Ending
from gradaudit.launch.output import ReportFile
from gradaudit.launch.request import RunRequest
from gradaudit.model.findings import Finding
from gradaudit.model.report import Report
from gradaudit.model.run import RunFacts
from gradaudit.render.documents import Document
from gradaudit.render.live import finding_line
from gradaudit.taming.threshold import reaching

if TYPE_CHECKING:
    from gradaudit.launch.assignment import Assignment
    from gradaudit.ledger.recording import Recording

#: Exit codes of ours, where the script's own is 0.
FOUND, UNUSABLE = 1, 2


class Reporter:
    """Judges, saves and shows; ``assignment`` is what this process runs, ``stderr`` our own.

    ``taken_back`` knows which findings were told while the script ran and are none in the end.
    """

    def __init__(
        self,
        request: RunRequest,
        assignment: Assignment,
        files: tuple[tuple[Document, ReportFile], ...],
        stderr: TextIO,
        taken_back: Callable[[Iterable[Finding]], Iterable[Finding]],
    ) -> None:
        self._taken_back = taken_back
        self._request = request
        self._assignment = assignment
        self._files = files
        self._stderr = stderr
        self._started = time.perf_counter()

    def judge(self, recording: Recording | None, ending: Ending) -> Report:
        """Judge what this process has seen."""
        return judge(recording, self._assignment, ending, time.perf_counter() - self._started)

    def save(self, report: Report) -> None:
        """Let only what counts be a finding, and write it as JSON where that was asked for."""
        files = [file for document, file in self._files if document.format == "json"]
        if files:
            from gradaudit.render.json_report import dumps

            data = dumps(self._tame(report))
            for file in files:
                if file.is_replaced():  # what was written to a pipe cannot be taken back
                    file.write(data)

    def publish(self, report: Report | None, ending: Ending) -> int:
        """Let only what counts be a finding, save and show; the exit code of ours.

        None is a process that was not recorded.
        """
        if report is None:
            return self._publish_nothing(ending)
        report = self._tame(report)
        saved = self._save(report)
        found = reaching(report, self._request.fail_on)
        if found or not self._request.quiet:
            self._show(report)
        self._annotate(report)
        return UNUSABLE if not saved else FOUND if found else 0

    def _publish_nothing(self, ending: Ending) -> int:
        """Say why there is no recording."""
        if "torch" in sys.modules:
            self.say("This run was not recorded, so there is no report.")
            return UNUSABLE
        when = "ended before it imported" if ending.code else "never imported"
        self.say(f"The script {when} torch: there is nothing to audit.")
        if self._files:
            self._save(self.judge(None, ending))
        return UNUSABLE

    def say(self, sentence: str) -> None:
        """Tell the user one thing."""
        self._stderr.write(f"gradaudit: {sentence}\n")  # no print: the script may have its own

    def broke(self, error: Exception) -> None:
        """Something broke inside the audit: it is said, and the training is none the worse."""
        self.say(
            f"The audit broke, the script is not affected: {type(error).__name__}: {error} "
            "(GRADAUDIT_DEBUG=1 shows where)."
        )
        if os.environ.get("GRADAUDIT_DEBUG"):
            traceback.print_exception(type(error), error, error.__traceback__, file=self._stderr)

    def _tame(self, report: Report) -> Report:
        """Let only what counts be a finding; without any decision all of it does."""
        from gradaudit.launch.sources import comments_about
        from gradaudit.taming.settings import Settings
        from gradaudit.taming.tame import Decisions, tame

        decisions = self._request.decisions or Decisions(Settings())
        return tame(report, replace(decisions, comments=comments_about(report)))

    def _save(self, report: Report) -> bool:
        """Write the files that were asked for; one that fails does not take the others along."""
        saved = [self._write(report, document, file) for document, file in self._files]
        return all(saved)

    def _write(self, report: Report, document: Document, file: ReportFile) -> bool:
        from gradaudit.render.documents import encode

        try:
            file.write(encode(report, document, self._request.checkout))
        except OSError as error:
            self.say(f"The report could not be written to {document.path!r}: {error}.")
            return False
        return True

    def _annotate(self, report: Report) -> None:
        if self._request.github:
            from gradaudit.render.github import write_annotations

            write_annotations(report, self._request.checkout, self._stderr)

    def _show(self, report: Report) -> None:
        from gradaudit.render.console import render_report

        for finding in self._taken_back(report.findings):
            self.say(f"What came later has overtaken {finding_line(finding)}")
        render_report(report, self._stderr)
        self._stderr.flush()


def judge(
    recording: Recording | None, assignment: Assignment, ending: Ending, wall_seconds: float
) -> Report:
    """Judge one recording."""
    from gradaudit.rules.assemble import assemble

    facts = RunFacts(
        target=assignment.title,
        argv=assignment.argv,
        cwd=assignment.cwd,
        outcome=ending.outcome,
        exit_code=ending.code,
        exception=ending.exception,
        stopped_by=ending.stopped_by,
        wall_seconds=wall_seconds,
        rank=assignment.rank,
        world_size=assignment.world_size,
    )
    return assemble(recording, facts)
