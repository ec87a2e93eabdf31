"""Where the report goes: a stderr of our own, and a file that is replaced at once."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import TextIO

from gradaudit.launch.request import RequestError

#: Far from the descriptors that the script's own files get.
_FIRST_FD = 200


def private_stderr() -> TextIO:
    """Open the stderr of now, kept apart from whatever the script does to its own.

    The script may close it, replace it or point it elsewhere.
    """
    try:
        fd = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, _FIRST_FD)
    except OSError:  # the caller closed it: there is nobody to talk to
        fd = os.open(os.devnull, os.O_WRONLY)
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return os.fdopen(fd, "w", encoding=encoding, errors="backslashreplace", buffering=1)


class ReportFile:
    """A file to be written when the run is over, checked before the run begins."""

    def __init__(self, path: str, *, script: str | None) -> None:
        self._path = Path(path).resolve()
        self._beside = self._path.with_name(f"{self._path.name}.{os.getpid()}.tmp")
        problem = self._problem(script)
        if problem:
            raise RequestError(f"Cannot write the report to {path!r}: {problem}.")

    def write(self, data: bytes) -> None:
        """Replace the file at once, so that no reader ever sees half a report."""
        if self._is_device():
            self._path.write_bytes(data)
            return
        try:
            with self._beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._beside.replace(self._path)
        finally:
            self._beside.unlink(missing_ok=True)

    def _problem(self, script: str | None) -> str | None:
        if self._path.is_dir():
            return "it is a directory; name a file"
        if not self._path.parent.is_dir():
            return f"the directory '{self._path.parent}' does not exist; create it first"
        if script is not None and self._path == Path(script).resolve():
            return "it is the script itself; name another file"
        if self._path.exists() and not os.access(self._path, os.W_OK):
            return "there is a file that may not be written; name another"
        return None if self._is_device() else self._trial()

    def _trial(self) -> str | None:
        """Make a file there: only trying tells, on a disk that is full or may only be read."""
        try:
            self._beside.touch(exist_ok=False)
            self._beside.unlink()
        except OSError as error:
            return f"{error.strerror}; name a file in a directory that you may write to"
        return None

    def _is_device(self) -> bool:
        """Whether there is something to be written into, and not to be replaced: a pipe, say."""
        return self._path.exists() and not self._path.is_file()
