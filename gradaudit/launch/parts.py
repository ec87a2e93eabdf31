"""The parts of a report: what each process of a run has seen, in files that outlive it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gradaudit.model.report import Report


@dataclass(frozen=True, slots=True)
class Parts:
    """A directory that the first process with something to say makes.

    Names of parts are sorted; each is one JSON report, replaced at once when there is more to say.
    """

    directory: Path

    @classmethod
    def of_this_process(cls) -> Parts:
        """Choose a directory for the processes that this one starts."""
        return cls(temporary() / f"gradaudit-{os.getpid()}-{os.urandom(6).hex()}")

    def make(self) -> None:
        """Make the directory, for this user alone."""
        self.directory.mkdir(mode=0o700, exist_ok=True)
        if self.directory.stat().st_uid != os.getuid():
            raise PermissionError(f"{self.directory} belongs to somebody else")

    def hand_in(self, name: str, report: Report) -> None:
        """Leave a part; what was handed in under this name before is replaced."""
        from gradaudit.render.json_report import dumps

        self.make()
        beside = self.directory / f"{name}.tmp"
        beside.write_bytes(dumps(report))
        beside.replace(self.directory / f"{name}.json")

    def collect(self) -> list[Report]:
        """Read all parts, in the order of their names."""
        from gradaudit.render.json_report import loads

        return [loads(file.read_bytes()) for file in sorted(self.directory.glob("*.json"))]

    def remove(self) -> None:
        """Take the directory away, read or not."""
        if self.directory.is_dir():
            import shutil

            shutil.rmtree(self.directory, ignore_errors=True)


def temporary() -> Path:
    """Where temporary files go: ``tempfile`` would import a dozen modules into the script's."""
    return Path(os.environ.get("TMPDIR") or "/tmp")  # noqa: S108 - a directory of our own in it
