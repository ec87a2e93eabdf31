"""The exception that ended the script, as the report tells it."""

# os.path, not pathlib: file names stay as the interpreter has them.
# ruff: noqa: PTH100, PTH118, PTH120

from __future__ import annotations

import linecache
import os
import sys
from itertools import islice
from types import CodeType, TracebackType

from gradaudit.launch.tracebacks import entries, is_ours
from gradaudit.model.report import ExceptionInfo
from gradaudit.model.sites import Location

_STDLIB = os.path.join(os.path.dirname(os.path.abspath(os.__file__)), "")
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def describe(error: BaseException, cwd: str) -> ExceptionInfo:
    """Type, message, and the innermost line of the user's own code."""
    return ExceptionInfo(_type_name(type(error)), _message(error), _location(error, cwd))


def _type_name(kind: type[BaseException]) -> str:
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def _message(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a broken __str__ of the user's; traceback says it likewise
        return "<exception str() failed>"


def _location(error: BaseException, cwd: str) -> Location | None:
    own = [link for link in entries(error.__traceback__) if _is_users(link.tb_frame.f_code)]
    if own:
        return _line(own[-1], cwd)
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        return Location(
            path=_shown(error.filename, cwd),
            line=error.lineno,
            column=error.offset or None,
            source=(error.text or "").strip() or None,
        )
    return None


def _is_users(code: CodeType) -> bool:
    name = code.co_filename
    if name.startswith("<") or is_ours(code):
        return False
    if any(part in name for part in _INSTALLED):
        return name == getattr(sys.modules.get("__main__"), "__file__", None)
    return not name.startswith(_STDLIB)


def _line(link: TracebackType, cwd: str) -> Location:
    code = link.tb_frame.f_code
    text = linecache.getline(code.co_filename, link.tb_lineno)
    end_line, column, end_column = _columns(link, text)
    return Location(
        path=_shown(code.co_filename, cwd),
        line=link.tb_lineno,
        end_line=end_line,
        column=column,
        end_column=end_column,
        function=code.co_name,
        source=text.strip() or None,
    )


def _columns(link: TracebackType, text: str) -> tuple[int | None, int | None, int | None]:
    """End line and columns of the failing expression; Python counts bytes from 0, we characters."""
    if sys.version_info < (3, 11) or link.tb_lasti < 0:
        return None, None, None
    positions = link.tb_frame.f_code.co_positions()
    line, end_line, start, end = next(islice(positions, link.tb_lasti // 2, None))
    if line != link.tb_lineno or line != end_line or start is None or end is None:
        return end_line, None, None
    encoded = text.encode()
    column, end_column = (len(encoded[:at].decode(errors="replace")) + 1 for at in (start, end))
    return end_line, column, end_column


def _shown(filename: str, cwd: str) -> str:
    beneath = os.path.join(cwd, "")
    path = os.path.normpath(filename)
    return path[len(beneath) :] if cwd and path.startswith(beneath) else path
