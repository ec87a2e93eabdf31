"""Where the report goes: a stderr of our own, and a file that is replaced at once."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from gradaudit.launch.request import RequestError
from gradaudit.render.documents import Document

#: Far from the descriptors that the script's own files get.
FIRST_FD = 200


def private_stderr() -> TextIO:
    """Open the stderr of now, kept apart from whatever the script does to its own.

    The script may close it, replace it or point it elsewhere.
    """
    try:
        fd = fcntl.fcntl(2, fcntl.F_DUPFD_CLOEXEC, FIRST_FD)
    except OSError:  # the caller closed it: there is nobody to talk to
        fd = os.open(os.devnull, os.O_WRONLY)
    encoding = getattr(sys.stderr, "encoding", None) or "utf-8"
    return os.fdopen(fd, "w", encoding=encoding, errors="backslashreplace", buffering=1)


def interject(stream: TextIO, lines: Iterable[str]) -> None:
    """Write lines in the midst of the script's own output, whose last line may not have ended."""
    fresh = "\n" if stream.isatty() else ""
    with suppress(OSError):  # nobody is there to read it
        stream.write(fresh + "".join(f"gradaudit: {line}\n" for line in lines))


def report_files(
    documents: Iterable[Document], *, sources: Sequence[str]
) -> tuple[tuple[Document, ReportFile], ...]:
    """Check every file before anything is done; `RequestError` if one cannot be written."""
    files = tuple(
        (document, ReportFile(document.path, sources=sources, append=document.append))
        for document in documents
    )
    paths = [file.path for _, file in files]
    for document, file in files:
        if paths.count(file.path) > 1 and file.is_replaced():
            raise RequestError(f"Two reports cannot both be {document.path!r}: name another file.")
    return files


class ReportFile:
    """A file to be written when the run is over, checked before the run begins."""

    def __init__(self, path: str, *, sources: Sequence[str], append: bool = False) -> None:
        self.path = Path(path).resolve()
        self._append = append
        self._beside = self.path.with_name(f"{self.path.name}.{os.getpid()}.tmp")
        problem = self._problem(sources)
        if problem:
            raise RequestError(f"Cannot write the report to {path!r}: {problem}.")

    def write(self, data: bytes) -> None:
        """Replace the file at once, so that no reader ever sees half a report."""
        if not self.is_replaced():
            with self.path.open("ab" if self._append else "wb") as file:
                file.write(data)
            return
        try:
            with self._beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            self._beside.replace(self.path)
        finally:
            self._beside.unlink(missing_ok=True)

    def is_replaced(self) -> bool:
        """Whether the report becomes the file: not one to add to, a pipe or another device."""
        return not self._append and (self.path.is_file() or not self.path.exists())

    def _problem(self, sources: Sequence[str]) -> str | None:
        if self.path.is_dir():
            return "it is a directory; name a file"
        if not self.path.parent.is_dir():
            return f"the directory '{self.path.parent}' does not exist; create it first"
        if any(self.path == Path(source).resolve() for source in sources):
            return "it is what is read; name another file"
        if self.path.exists() and not os.access(self.path, os.W_OK):
            return "there is a file that may not be written; name another"
        return self._trial() if self.is_replaced() else None

    def _trial(self) -> str | None:
        """Make a file there: only trying tells, on a disk that is full or may only be read."""
        try:
            self._beside.touch(exist_ok=False)
            self._beside.unlink()
        except OSError as error:
            return f"{error.strerror}; name a file in a directory that you may write to"
        return None
