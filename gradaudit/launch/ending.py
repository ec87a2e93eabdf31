"""How the script ended, for the interpreter and for the report."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from gradaudit.launch.failure import describe
from gradaudit.launch.interpreter import exit_code, show_uncaught
from gradaudit.launch.tracebacks import remove_our_frames
from gradaudit.model.report import ExceptionInfo, Outcome
from gradaudit.model.run import TrainingStopped


@dataclass(frozen=True, slots=True)
class Ending:
    """``code`` is the script's own exit code as a shell sees it; ``signal`` is what it dies of.

    ``stopped_by`` is the option of ours that ended it.
    """

    outcome: Outcome
    code: int
    exception: ExceptionInfo | None = None
    signal: int | None = None
    stopped_by: str | None = None


def exited(code: int) -> Ending:
    """End by the code that the script chose itself; one other than 0 is a failure."""
    return Ending("failed" if code else "completed", code)


def killed(signum: int, exception: ExceptionInfo | None = None) -> Ending:
    """End by a signal."""
    return Ending("interrupted", 128 + signum, exception, signum)


def conclude(error: BaseException | None, cwd: str) -> Ending:
    """Do with what came out of the script what the interpreter does, and say what that was."""
    if error is None:
        return exited(0)
    remove_our_frames(error)
    if isinstance(error, TrainingStopped):
        return Ending("stopped", 0, stopped_by=error.reason)
    if isinstance(error, SystemExit):
        return exited(exit_code(error))
    exception = describe(error, cwd)
    code = show_uncaught(error)
    if isinstance(error, KeyboardInterrupt):
        return killed(signal.SIGINT, exception)
    return Ending("failed", code, exception)
