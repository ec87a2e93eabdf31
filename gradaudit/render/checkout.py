"""Where the files of a report lie for whoever reads it: in a checkout of a repository, perhaps.

A report names files relative to the directory that the script ran in.  What is made for a
repository (SARIF, annotations, a comment on a pull request) names them relative to its root.
"""

from __future__ import annotations

import os.path
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath

from gradaudit.model.report import Report
from gradaudit.model.sites import Location


@dataclass(frozen=True, slots=True)
class Checkout:
    """``root`` is the directory of the repository, ``blob`` the address of its files on the web."""

    root: str | None = None
    blob: str | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Checkout:
        """Ask GitHub Actions where it put the repository; elsewhere nothing is known."""
        parts = [environment.get(f"GITHUB_{part}") for part in ("SERVER_URL", "REPOSITORY", "SHA")]
        server, repository, commit = parts
        blob = f"{server}/{repository}/blob/{commit}" if all(parts) else None
        return cls(environment.get("GITHUB_WORKSPACE"), blob)

    def path(self, path: str, report: Report) -> str:
        """Name a file relative to the root, where it lies below it; with slashes in any case."""
        whole = os.path.normpath(os.path.join(report.run.cwd, path))  # noqa: PTH118 - text only
        below = _below(self.root or report.run.cwd, whole)
        return PurePath(whole if below is None else below).as_posix()

    def address(self, location: Location, report: Report) -> str | None:
        """Link to the line on the web, where the file is the repository's."""
        path = self.path(location.path, report)
        if self.blob is None or PurePath(path).is_absolute():
            return None
        return f"{self.blob}/{uri(path)}#L{location.line}"


def uri(path: str) -> str:
    """Write a path as the address of a file, bytes that are no UTF-8 included."""
    from urllib.parse import quote  # imports more than a run before its script should

    return quote(path.encode("utf-8", "surrogateescape" if _escapes(path) else "surrogatepass"))


def _escapes(path: str) -> bool:
    """Whether the lone surrogates in a path stand for bytes, as Python makes them of file names."""
    return all("\udc80" <= char <= "\udcff" for char in path if "\ud800" <= char <= "\udfff")


def _below(root: str, path: str) -> str | None:
    try:
        return str(PurePath(path).relative_to(root)) if root else None
    except ValueError:
        return None
