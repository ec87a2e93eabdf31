"""One audited run in this process, from the request to the exit code.

The order at the end is the interpreter's: the script ends, its exception is shown, threads are
joined, ``atexit`` handlers run.  Only then the recorder is finished and the report is made, once,
by whichever door the script leaves: its end, ``os._exit``, or a deadly signal.  A forked child
that comes to one of these doors passes through it as under plain Python.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Literal, NoReturn

from gradaudit.launch.attendant import Attendant
from gradaudit.launch.ending import Ending, conclude, exited, killed
from gradaudit.launch.exits import report_before_exit
from gradaudit.launch.installed import require_torch
from gradaudit.launch.interpreter import end_program
from gradaudit.launch.live import Live
from gradaudit.launch.output import ReportFile, interject, private_stderr, report_files
from gradaudit.launch.progress import progress_on
from gradaudit.launch.request import RequestError, RunRequest
from gradaudit.launch.signals import DeadlySignals, die
from gradaudit.launch.surroundings import Surroundings
from gradaudit.launch.target import Target, target_of
from gradaudit.launch.watch import Watch
from gradaudit.model.report import Report
from gradaudit.model.run import RunFacts
from gradaudit.render.documents import Document
from gradaudit.render.live import finding_line
from gradaudit.taming.threshold import reaching

if TYPE_CHECKING:
    from gradaudit.ledger.recording import Recording

#: Exit codes of ours, where the script's own is 0.
FOUND, UNUSABLE = 1, 2


def audit(request: RunRequest, surroundings: Surroundings) -> int:
    """Run the target audited; the exit code, unless the run dies of a signal."""
    try:
        session = _Session(request, surroundings)
        ending = session.run()
    except RequestError as problem:
        print(f"gradaudit: {problem}", file=sys.stderr)  # noqa: T201
        return UNUSABLE
    return session.leave(ending)


class _Session:
    def __init__(self, request: RunRequest, surroundings: Surroundings) -> None:
        self._request = request
        self._surroundings = surroundings
        self._target: Target = target_of(request)
        source = None if request.module else request.target
        self._files = report_files(request.documents, source=source)
        self._target.become()
        require_torch()
        self._stderr = private_stderr()
        say = None if request.quiet else partial(interject, self._stderr)
        fatal = request.failing if request.fail_fast else ()
        self._live = Live(surroundings, request.decisions, say, fatal)
        self._progress = None if request.quiet else progress_on(self._stderr, os.environ)
        attendant = Attendant(self._live, self._progress, self._broke)
        self._watch = Watch(request.limits, self._broke, attendant)
        self._signals = DeadlySignals(self._close_killed)
        self._owner = os.getpid()
        self._started = time.perf_counter()
        self._signal: int | None = None
        self._lock = threading.RLock()
        self._state: Literal["open", "closing", "closed"] = "open"
        self._verdict = 0

    def run(self) -> Ending:
        """Run the script, and end it as the interpreter would."""
        self._watch.arm()
        self._signals.arm()
        report_before_exit(lambda status: self._close(exited(status & 0xFF)))
        os.register_at_fork(after_in_child=self._become_child)
        error = self._execute()
        # A trace function of the script's own is not for lines of ours.  No call of ours may come
        # between these: it would be traced.
        trace, profile = sys.gettrace(), sys.getprofile()
        sys.settrace(None)
        sys.setprofile(None)
        self._target.settle()
        ending = conclude(error, self._surroundings.cwd)
        del error
        end_program(trace, profile)
        return ending

    def leave(self, ending: Ending) -> int:
        """Make the report; then die as the script died, or return the exit code."""
        try:
            code = self._close(ending)
            self._stderr.close()
        except KeyboardInterrupt:
            self._say("Interrupted before the report was complete.")
            _die_interrupted()
        if ending.signal is not None:
            _die_interrupted()
        return code

    def _execute(self) -> BaseException | None:
        try:
            self._target.execute()
        except RequestError:
            raise
        except BaseException as error:  # the script's end, whatever it is
            return error
        return None

    def _become_child(self) -> None:
        self._watch.disarm()
        self._signals.disarm()
        self._stderr.close()

    def _close_killed(self, signum: int) -> None:
        if self._state == "closing":
            self._signal = signum  # which came while the report was being made, and waits for it
        else:
            self._close(killed(signum))
            die(signum)

    def _close(self, ending: Ending) -> int:
        """Make the report, once and in the parent only; the exit code to leave by."""
        if os.getpid() != self._owner:
            return ending.code
        with self._lock:  # a thread may call os._exit while the report is being made
            if self._state == "open":
                self._state = "closing"
                sys.settrace(None)
                sys.setprofile(None)
                if self._progress is not None:
                    self._progress.close()
                self._verdict = self._report_guarded(ending)
                self._state = "closed"
                if self._signal is not None:
                    die(self._signal)
        return ending.code or self._verdict

    def _report_guarded(self, ending: Ending) -> int:
        with self._surroundings.restored():
            try:
                return self._report(ending)
            except Exception as error:  # said, and never exit code 0
                self._broke(error)
                return UNUSABLE

    def _report(self, ending: Ending) -> int:
        """Judge, save and show; the exit code of ours."""
        recorder = self._watch.recorder
        if recorder is not None:
            report = self._tame(self._judge(recorder.finish(), ending))
            saved = self._save(report)
            found = reaching(report, self._request.fail_on)
            if found or not self._request.quiet:
                self._show(report)
            self._annotate(report)
            return UNUSABLE if not saved else FOUND if found else 0
        if self._watch.torch_was_imported:
            self._say("This run was not recorded, so there is no report.")
            return UNUSABLE
        when = "ended before it imported" if ending.code else "never imported"
        self._say(f"The script {when} torch: there is nothing to audit.")
        if self._files:
            self._save(self._judge(None, ending))
        return UNUSABLE

    def _judge(self, recording: Recording | None, ending: Ending) -> Report:
        from gradaudit.rules.assemble import assemble

        return assemble(recording, self._facts(ending))

    def _tame(self, report: Report) -> Report:
        """Let only what counts be a finding; without any decision all of it does."""
        from gradaudit.launch.sources import comments_about
        from gradaudit.taming.settings import Settings
        from gradaudit.taming.tame import Decisions, tame

        decisions = self._request.decisions or Decisions(Settings())
        return tame(report, replace(decisions, comments=comments_about(report)))

    def _facts(self, ending: Ending) -> RunFacts:
        request = self._request
        return RunFacts(
            target=self._target.title,
            argv=(*(("-m",) if request.module else ()), request.target, *request.args),
            cwd=self._surroundings.cwd,
            outcome=ending.outcome,
            exit_code=ending.code,
            exception=ending.exception,
            stopped_by=ending.stopped_by,
            wall_seconds=time.perf_counter() - self._started,
        )

    def _save(self, report: Report) -> bool:
        """Write the files that were asked for; one that fails does not take the others along."""
        saved = [self._write(report, document, file) for document, file in self._files]
        return all(saved)

    def _write(self, report: Report, document: Document, file: ReportFile) -> bool:
        from gradaudit.render.documents import encode

        try:
            file.write(encode(report, document, self._request.checkout))
        except OSError as error:
            self._say(f"The report could not be written to {document.path!r}: {error}.")
            return False
        return True

    def _annotate(self, report: Report) -> None:
        if self._request.github:
            from gradaudit.render.github import write_annotations

            write_annotations(report, self._request.checkout, self._stderr)

    def _show(self, report: Report) -> None:
        from gradaudit.render.console import render_report

        for finding in self._live.taken_back(report.findings):
            self._say(f"What came later has overtaken {finding_line(finding)}")
        render_report(report, self._stderr)
        self._stderr.flush()

    def _say(self, sentence: str) -> None:
        self._stderr.write(f"gradaudit: {sentence}\n")  # no print: the script may have its own

    def _broke(self, error: Exception) -> None:
        """Something broke inside the audit: it is said, and the training is none the worse."""
        self._say(
            f"The audit broke, the script is not affected: {type(error).__name__}: {error} "
            "(GRADAUDIT_DEBUG=1 shows where)."
        )
        if os.environ.get("GRADAUDIT_DEBUG"):
            traceback.print_exception(type(error), error, error.__traceback__, file=self._stderr)


def _die_interrupted() -> NoReturn:
    """Let the interpreter end itself as after any Ctrl-C, whose traceback was shown already."""
    sys.excepthook = _say_nothing
    raise KeyboardInterrupt


def _say_nothing(*_: object) -> None:
    """Stand in for ``sys.excepthook``."""
