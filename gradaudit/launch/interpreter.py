"""What the interpreter does when a program ends, in its order, done by hand.

Plain Python shows the exception, joins the threads, runs the ``atexit`` handlers and is gone.
The report has to be made after all that and still decide the exit code, so each step is taken
here, as ``Python/pythonrun.c`` and ``Python/pylifecycle.c`` take it.  The interpreter's own
second round finds nothing left to do.
"""

from __future__ import annotations

import atexit
import contextlib
import sys
from typing import IO, TYPE_CHECKING

from gradaudit.launch.tracebacks import remove_our_frames

if TYPE_CHECKING:
    from _typeshed import ProfileFunction, TraceFunction


def show_uncaught(error: BaseException) -> int:
    """Show an exception that nobody caught, as the interpreter does; the exit code of it."""
    _remember_last(error)
    hook = getattr(sys, "excepthook", None)
    sys.audit("sys.excepthook", hook, type(error), error, error.__traceback__)
    if hook is None:
        _write("sys.excepthook is missing\n")
        _display(error)
        return 1
    try:
        hook(type(error), error, error.__traceback__)
    except SystemExit as leaving:
        return exit_code(leaving)
    except BaseException as second:  # whatever it is, the interpreter shows both
        failure = second
    else:
        return 1
    remove_our_frames(failure)
    _write("Error in sys.excepthook:\n")
    _display(failure)
    _write("\nOriginal exception was:\n")
    _display(error)
    return 1


def exit_code(leaving: SystemExit) -> int:
    """Tell what the shell sees of a ``SystemExit``; a code that is no number is printed, for 1."""
    code = leaving.code
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(2**63) <= code < 2**63 else 0xFF  # C's long, then the shell's byte
    _write(code)
    _write("\n")
    return 1


def end_program(trace: TraceFunction | None, profile: ProfileFunction | None) -> None:
    """Join the threads that are no daemons, then run what was registered with ``atexit``.

    Both happen under the trace and profile functions that the script has left in place; no profile
    function leaves who profiles now as it is.
    """
    threading = sys.modules.get("threading")
    sys.settrace(trace)
    if profile is not None:
        sys.setprofile(profile)
    try:
        if threading is not None:
            threading._shutdown()
    except BaseException as error:  # mostly a second Ctrl-C; said, not obeyed
        remove_our_frames(error)
        _write(f"Exception ignored in: {threading!r}\n")
        _display(error)
    atexit._run_exitfuncs()
    sys.setprofile(None)
    sys.settrace(None)
    flush_streams()


def flush_streams() -> None:
    """Send what the program printed on its way before anything of ours."""
    _flush(sys.stdout)
    _flush(sys.stderr)


def _remember_last(error: BaseException) -> None:
    sys.last_type, sys.last_value = type(error), error
    sys.last_traceback = error.__traceback__
    if sys.version_info >= (3, 12):
        sys.last_exc = error


def _display(error: BaseException) -> None:
    sys.__excepthook__(type(error), error, error.__traceback__)


def _write(text: object) -> None:
    """Print to whatever ``sys.stderr`` is by now; like the interpreter, never fail at it."""
    with contextlib.suppress(Exception):
        sys.stderr.write(str(text))


def _flush(stream: IO[str]) -> None:
    """Flush, and leave a closed or broken stream to the interpreter, which complains itself."""
    with contextlib.suppress(Exception):
        stream.flush()
