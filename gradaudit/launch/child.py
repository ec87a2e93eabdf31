"""A process that the script has started by ``multiprocessing``: audited, and heard by its part.

It shows nothing and writes no report: what it has seen becomes a part of the report that the
process makes which the user started.  One that trains nothing leaves nothing.
"""

from __future__ import annotations

import functools
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gradaudit.launch.assignment import Assignment
from gradaudit.launch.checkpoints import unfinished
from gradaudit.launch.ending import Ending, exited, killed
from gradaudit.launch.exits import report_before_exit
from gradaudit.launch.failure import describe
from gradaudit.launch.parts import Parts
from gradaudit.launch.signals import DeadlySignals, die
from gradaudit.launch.surroundings import Surroundings
from gradaudit.launch.tracebacks import remove_our_frames
from gradaudit.launch.watch import Watch

if TYPE_CHECKING:
    from gradaudit.ledger.recording import Recording
    from gradaudit.model.report import Report

#: ``_wrap(fn, i, args, error_file)`` in here sends the traceback of ``fn`` to the parent.
_TORCH_SPAWN = "torch.multiprocessing.spawn"


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a process needs to be audited; ``prefix`` tells the children of ranks apart."""

    assignment: Assignment
    parts: Parts
    prefix: str = ""


def write_ticket(ticket: Ticket) -> bytes:
    """Write a ticket that travels with the preparations of a spawned process."""
    return pickle.dumps(ticket)


def read_ticket(data: bytes) -> Ticket:
    """Read one; it was written by the process that started this one."""
    ticket: Ticket = pickle.loads(data)  # noqa: S301 - as trusted as all else that came with it
    return ticket


def audit_child(ticket: Ticket, process: Any, run: Callable[[], int]) -> int:  # noqa: ANN401
    """Run a process to its end, audited; its exit code."""
    child = _Child(ticket, _part_name(ticket, process))
    child.begin()
    _listen(process, child.hear)
    code = run()
    child.close(exited(code & 0xFF))
    return code


class _Child:
    def __init__(self, ticket: Ticket, name: str) -> None:
        self._assignment = ticket.assignment
        self._parts = ticket.parts
        self._name = name
        self._surroundings = Surroundings.of_child(ticket.assignment.path, ticket.assignment.cwd)
        self._watch = Watch(ticket.assignment.limits, self._broke, self._save)
        self._signals = DeadlySignals(self._close_killed)
        self._owner = os.getpid()
        self._started = time.perf_counter()
        self._closed = False
        self._heard: Ending | None = None

    def begin(self) -> None:
        """Watch from here on, and leave by no door without having been heard."""
        self._watch.arm()
        self._signals.arm()
        os.register_at_fork(after_in_child=self._become_child)
        report_before_exit(lambda status: self.close(exited(status & 0xFF)))

    def hear(self, error: BaseException) -> None:
        """Learn what comes out of the process; an exit is only told by its code."""
        if not isinstance(error, SystemExit):
            exception = describe(error, self._assignment.cwd)
            if isinstance(error, KeyboardInterrupt):
                self._heard = killed(signal.SIGINT, exception)
            else:
                self._heard = Ending("failed", 1, exception)

    def close(self, ending: Ending) -> int:
        """Hand in the part, once; the exit code to leave by."""
        if os.getpid() == self._owner and not self._closed:
            self._closed = True
            if self._watch.trained:
                self._hand_in(ending)
        return ending.code

    def _judge(self, recording: Recording, ending: Ending) -> Report:
        from gradaudit.launch.reporter import judge

        return judge(recording, self._assignment, ending, time.perf_counter() - self._started)

    def _save(self, recording: Recording) -> None:
        """Hand in what was seen until now, for the case that this process is killed."""
        with self._surroundings.restored():
            report = self._judge(recording, killed(signal.SIGKILL))
            self._parts.hand_in(self._name, unfinished(report))

    def _hand_in(self, ending: Ending) -> None:
        recorder = self._watch.recorder
        if recorder is None:
            return
        try:
            if self._heard is not None:
                ending = replace(self._heard, code=ending.code)
            elif recorder.stopped and not ending.code:
                ending = replace(ending, outcome="stopped")
            with self._surroundings.restored():
                self._parts.hand_in(self._name, self._judge(recorder.finish(), ending))
        except Exception as error:  # said, and the process ends as it would have
            self._broke(error)

    def _close_killed(self, signum: int) -> None:
        self.close(killed(signum))
        die(signum)

    def _become_child(self) -> None:
        self._watch.disarm()
        self._signals.disarm()

    def _broke(self, error: Exception) -> None:
        if sys.__stderr__ is not None:
            sys.__stderr__.write(
                f"gradaudit: The audit of a process broke, the script is not affected: "
                f"{type(error).__name__}: {error}\n"
            )


def _part_name(ticket: Ticket, process: Any) -> str:  # noqa: ANN401
    """Name the part so that names sort as the processes were started."""
    identity = "-".join(f"{number:06}" for number in process._identity)
    return f"{ticket.prefix}{identity}"


def _listen(process: Any, heard: Callable[[BaseException], None]) -> None:  # noqa: ANN401
    """Hear of the exception of the process before it is shown, or sent to its parent.

    It goes on without our frames.
    """

    def attended(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            try:
                return function(*args, **kwargs)
            except BaseException as error:
                remove_our_frames(error)
                heard(error)
                raise

        return call

    if getattr(process._target, "__module__", None) == _TORCH_SPAWN and process._args:
        function, *rest = process._args
        process._args = (attended(function), *rest)
    process.run = attended(process.run)
    if sys.version_info < (3, 11):  # where a bare raise brings our frame back
        traceback.print_exc = _cleaned(traceback.print_exc)
        traceback.format_exc = _cleaned(traceback.format_exc)


def _cleaned(show: Callable[..., Any]) -> Callable[..., Any]:
    """Show the exception that is being handled without our frames."""

    @functools.wraps(show)
    def cleaned(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        error = sys.exc_info()[1]
        if error is not None:
            remove_our_frames(error)
        return show(*args, **kwargs)

    return cleaned
