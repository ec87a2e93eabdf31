"""The recorder's life over one block of a program: begun, ended, and what was seen until then."""

from __future__ import annotations

import linecache
import os
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from gradaudit.embed.place import AuditError, Place
from gradaudit.launch.failure import describe
from gradaudit.launch.sources import paths_of
from gradaudit.launch.tracebacks import remove_our_frames
from gradaudit.model.report import ExceptionInfo, Outcome, Report
from gradaudit.model.run import Limits, RunFacts, TrainingStopped
from gradaudit.model.sites import Location
from gradaudit.taming.comments import Comment, comments_in

if TYPE_CHECKING:
    from gradaudit.ledger.recording import Recording
    from gradaudit.observe.recorder import Recorder
    from gradaudit.observe.sites import SiteBook

#: The block that is being recorded, if any is; a forked child inherits it.
_under_way: set[Block] = set()


class Block:
    """One block.

    ``unrecorded`` says why there is no recording of it, where there is none; ``broken`` is whether
    that is a fault of the audit's.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._recorder: Recorder | None = None
        self._owner = 0
        self._cwd = ""
        self.state: Literal["new", "running", "over"] = "new"
        self.recording: Recording | None = None
        self.unrecorded = ""
        self.broken = False
        self.title = ""

    # -- life ------------------------------------------------------------------------------------

    def begin(self, place: Place) -> None:
        """Record from here on; inside a ``gradaudit run`` leave that to it."""
        if self.state != "new":
            raise AuditError("This audit was begun before; call gradaudit.audit() for another.")
        from gradaudit.observe.forks import under_way

        for other in _under_way:
            if other.recording_here:
                raise AuditError(
                    f"An audit is under way already, since {other.title}; end it before another "
                    "one begins."
                )
        self.state = "running"
        self.title = f"{place.file}:{place.line}"
        self._owner = os.getpid()
        self._started = time.perf_counter()
        if under_way():
            self.unrecorded = "`gradaudit run` audits all of this process, and reports on it"
            return
        _under_way.add(self)
        linecache.checkcache()  # modules may have been edited and reloaded since the last audit
        try:
            self._install(place)
        except Exception as error:  # the program goes on, whatever breaks in us
            self._broke(error)

    def _install(self, place: Place) -> None:
        from gradaudit.observe.recorder import Recorder

        self._cwd = os.getcwd()  # noqa: PTH109 - names as they are
        recorder = Recorder(self._limits, main_file=place.file, whole=False)
        self.title = f"{recorder.sites.shown(place.file)}:{place.line}"
        try:
            recorder.install()
        except Exception:
            with suppress(Exception):
                recorder.finish()  # takes away again what is in place already
            raise
        self._recorder = recorder

    def end(self, error: BaseException | None) -> RunFacts:
        """Record no more; the facts of the block, ``error`` being what it was left by."""
        self.state = "over"
        _under_way.discard(self)
        recorder, exception = self._recorder, None
        if recorder is not None:
            try:
                self.recording = recorder.finish()
            except Exception as broken:  # as above
                self._broke(broken)
        outcome = _outcome(error)
        if error is not None and outcome in ("failed", "interrupted"):
            remove_our_frames(error)
            exception = self._exception(error)
        return RunFacts(
            target=self.title,
            argv=tuple(sys.argv),
            cwd=self._cwd,
            outcome=outcome,
            exit_code=int(outcome in ("failed", "interrupted")),
            exception=exception,
            wall_seconds=time.perf_counter() - self._started,
            whole=False,
            unrecorded=self.unrecorded,
        )

    def give_up(self, facts: RunFacts, error: Exception) -> RunFacts:
        """What was recorded could not be judged: the facts of a block without a recording."""
        self.recording = None
        self._broke(error)
        return replace(facts, unrecorded=self.unrecorded)

    @property
    def recording_here(self) -> bool:
        """Whether it is running in this process, rather than in one that this was forked from."""
        return self.state == "running" and self._owner == os.getpid()

    def stopped_by(self, error: BaseException | None) -> bool:
        """Whether it was a limit of its own that has ended it."""
        return isinstance(error, TrainingStopped) and self._recorder is not None

    # -- what it was about -------------------------------------------------------------------------

    def number_of(self, parameter: object) -> int | None:
        """The leaf that a parameter is in the recording, if anything was seen of it."""
        return None if self._recorder is None else self._recorder.number_of(parameter)  # type: ignore[arg-type]

    def comments_about(self, report: Report) -> Iterable[Comment]:
        """Find the decisions that stand in the source, be it that of a cell."""
        if self._recorder is not None:
            for path in paths_of(report):
                yield from comments_in(path, self._recorder.sites.source_of(path).text)

    def _exception(self, error: BaseException) -> ExceptionInfo:
        described = describe(error, self._cwd)
        if self._recorder is None:
            return described
        return replace(described, location=_raised_at(error.__traceback__, self._recorder.sites))

    def _broke(self, error: Exception) -> None:
        self.broken = True
        self.unrecorded = f"the audit failed inside: {type(error).__name__}: {error}"
        with suppress(OSError, ValueError, AttributeError):  # no stderr, or a closed one
            sys.stderr.write(f"gradaudit: {self.title} is not recorded: {self.unrecorded}\n")


def _outcome(error: BaseException | None) -> Outcome:
    if error is None or isinstance(error, GeneratorExit):
        return "completed"
    if isinstance(error, TrainingStopped):
        return "stopped"
    return "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"


def _raised_at(trace: TracebackType | None, sites: SiteBook) -> Location | None:
    """The innermost line of the user's own code in a traceback."""
    found = None
    while trace is not None:
        code = trace.tb_frame.f_code
        if sites.user.owns(code):
            found = sites.location(code, trace.tb_lasti)
        trace = trace.tb_next
    return found
