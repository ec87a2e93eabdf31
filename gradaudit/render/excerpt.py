"""A line of source, cut where its columns say: what a reporter underlines, prints bold or marks."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.model.sites import Location


@dataclass(frozen=True, slots=True)
class Excerpt:
    """One line in three parts; ``mark`` is what the columns point at.  ``before`` is unindented."""

    before: str
    mark: str
    after: str

    @property
    def line(self) -> str:
        """The whole line."""
        return self.before + self.mark + self.after


def excerpt(location: Location) -> Excerpt | None:
    """Cut the line without its indentation at the columns; without columns, all of it is meant."""
    line = source_line(location)
    if not line:
        return None
    start = len(line) - len(line.lstrip())
    column, end_column = location.column, location.end_column
    if column is None or not start < column <= len(line):
        return Excerpt("", line[start:], "")
    ends_here = location.end_line in (None, location.line) and end_column is not None
    end = max(end_column - 1, column) if ends_here and end_column else len(line)
    return Excerpt(line[start : column - 1], line[column - 1 : end], line[end:])


def source_line(location: Location) -> str:
    """Quote the line as it stands in the file, or nothing where it is not known."""
    lines = (location.source or "").splitlines()
    return lines[0].rstrip() if lines else ""
