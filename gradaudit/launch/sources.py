"""The source files that a report speaks of, and the decisions that stand in their comments."""

from __future__ import annotations

import os.path
import tokenize
from collections.abc import Iterable, Iterator

from gradaudit.model.report import Report
from gradaudit.taming.comments import Comment, comments_in


def comments_about(report: Report) -> tuple[Comment, ...]:
    """Find the comments in every file in which something happened."""
    return comments_of(paths_of(report), report.run.cwd)


def comments_of(paths: Iterable[str], cwd: str) -> tuple[Comment, ...]:
    """Find the comments in some files, each of them read once."""
    return tuple(
        comment for path in dict.fromkeys(paths) for comment in comments_in(path, _text(cwd, path))
    )


def paths_of(report: Report) -> Iterable[str]:
    """List the files in which something happened, each once."""
    return dict.fromkeys(_paths(report))


def _paths(report: Report) -> Iterator[str]:
    for loop in report.loops:
        yield loop.location.path
        yield from (event.location.path for event in loop.events)
    for finding in report.findings:
        if finding.location is not None:
            yield finding.location.path
        yield from (event.location.path for event in finding.related)


def _text(cwd: str, path: str) -> str:
    """Read a file as the interpreter does; one that is gone, or never was one, says nothing."""
    try:
        with tokenize.open(os.path.join(cwd, path)) as file:  # noqa: PTH118 - names as they are
            return file.read()
    except (OSError, SyntaxError, UnicodeDecodeError, ValueError):
        return ""
