"""One audited run in this process, from the request to the exit code.

The order at the end is the interpreter's: the script ends, its exception is shown, threads are
joined, ``atexit`` handlers run.  Only then the recorder is finished and the report is made, once,
by whichever door the script leaves: its end, ``os._exit``, or a deadly signal.  A forked child
that comes to one of these doors passes through it as under plain Python.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Literal, NoReturn

from gradaudit.launch.assignment import Assignment
from gradaudit.launch.attendant import Attendant
from gradaudit.launch.ending import Ending, conclude, exited, killed
from gradaudit.launch.exits import report_before_exit
from gradaudit.launch.gathering import gathering
from gradaudit.launch.installed import require_torch
from gradaudit.launch.interpreter import end_program
from gradaudit.launch.launchers import parent_name
from gradaudit.launch.live import Live
from gradaudit.launch.local_world import LocalWorld
from gradaudit.launch.output import interject, private_stderr, report_files
from gradaudit.launch.processes import Processes
from gradaudit.launch.progress import progress_on
from gradaudit.launch.reporter import UNUSABLE, Reporter
from gradaudit.launch.request import RequestError, RunRequest
from gradaudit.launch.signals import DeadlySignals, die
from gradaudit.launch.surroundings import Surroundings
from gradaudit.launch.target import Target, target_of
from gradaudit.launch.watch import Watch

if TYPE_CHECKING:
    from gradaudit.ledger.recording import Recording


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
        self._surroundings = surroundings
        self._target: Target = target_of(request)
        sources = () if request.module else (request.target,)
        files = report_files(request.documents, sources=sources)
        self._target.become()
        require_torch()
        world = LocalWorld.of(os.environ, parent_name())
        assignment = _assignment(request, self._target, surroundings, world)
        self._stderr = private_stderr()
        quiet = request.quiet or (world is not None and not world.leads)  # one rank tells for all
        fatal = request.failing if request.fail_fast else ()
        say = None if quiet else partial(interject, self._stderr)
        live = Live(surroundings, request.decisions, say, fatal)
        self._progress = None if quiet else progress_on(self._stderr, os.environ)
        self._reporter = Reporter(request, assignment, files, self._stderr, live.taken_back)
        attendant = Attendant(live, self._progress, self._reporter.broke)
        self._watch = Watch(request.limits, self._reporter.broke, self._save, attendant)
        self._gathering = gathering(self._reporter, world)
        self._processes = Processes(assignment, self._gathering.parts, self._gathering.prefix)
        self._signals = DeadlySignals(self._close_killed)
        self._owner = os.getpid()
        self._signal: int | None = None
        self._lock = threading.RLock()
        self._state: Literal["open", "closing", "closed"] = "open"
        self._verdict = 0

    def run(self) -> Ending:
        """Run the script, and end it as the interpreter would."""
        self._watch.arm()
        self._processes.arm()
        self._signals.arm()
        report_before_exit(lambda status: self._close(exited(status & 0xFF)))
        os.register_at_fork(after_in_child=self._become_child)
        profiler = sys.getprofile()
        error = self._execute()
        # A trace function of the script's own is not for lines of ours.  No call of ours may come
        # between these: it would be traced.  Whoever profiles all of us goes on doing so, and what
        # is no function listens from C (cProfile before Python 3.12): nobody could set it again.
        trace, profile = sys.gettrace(), sys.getprofile()
        sys.settrace(None)
        if profile is profiler or not callable(profile):
            profile = None
        else:
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
            self._reporter.say("Interrupted before the report was complete.")
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
        try:
            with self._surroundings.restored():
                return self._report(ending)
        except Exception as error:  # said, and never exit code 0
            self._reporter.broke(error)
            return UNUSABLE

    def _report(self, ending: Ending) -> int:
        """Publish what this process and others have seen; the exit code of ours."""
        recorder = self._watch.recorder
        report = None if recorder is None else self._reporter.judge(recorder.finish(), ending)
        return self._gathering.conclude(report, ending, trained=self._watch.trained)

    def _save(self, recording: Recording) -> None:
        """Save what was seen until now, for the case that this process is killed."""
        with self._surroundings.restored():
            self._gathering.save(self._reporter.judge(recording, killed(signal.SIGKILL)))


def _assignment(
    request: RunRequest, target: Target, surroundings: Surroundings, world: LocalWorld | None
) -> Assignment:
    return Assignment(
        title=target.title,
        argv=(*(("-m",) if request.module else ()), request.target, *request.args),
        limits=request.limits,
        path=surroundings.path,
        cwd=surroundings.cwd,
        rank=world.rank if world is not None else 0,
        world_size=world.world_size if world is not None else 1,
    )


def _die_interrupted() -> NoReturn:
    """Let the interpreter end itself as after any Ctrl-C, whose traceback was shown already."""
    sys.excepthook = _say_nothing
    raise KeyboardInterrupt


def _say_nothing(*_: object) -> None:
    """Stand in for ``sys.excepthook``."""
