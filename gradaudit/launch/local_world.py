"""The ranks that a launcher has started on this machine: one report of all.

Each of them is a ``gradaudit run`` of its own; what they have in common is the launcher, their
parent.  Each leaves its part when it ends, and the last to end makes the report.  Nobody waits for
anybody: a rank that lives is known by a lock that dies with it.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gradaudit.launch.launchers import place_among_ranks
from gradaudit.launch.output import FIRST_FD
from gradaudit.launch.parts import Parts, temporary

#: After so many seconds a rank that has not begun is taken for one that never will.
_BEGUN_BY = 60.0


@dataclass(slots=True)
class LocalWorld:
    """A rank among its neighbours; ``local_rank`` counts on this machine only."""

    rank: int
    world_size: int
    local_rank: int
    local_size: int
    parts: Parts
    _lives: list[int] = field(default_factory=list)
    _began: float = field(default_factory=time.monotonic)

    @classmethod
    def of(cls, environment: Mapping[str, str], parent: str) -> LocalWorld | None:
        """Ask what the launcher has told this process; None if there are no neighbours.

        ``parent`` is the name of the program that has started it.
        """
        place = place_among_ranks(environment, parent)
        if place is None or place.local_size < 2:
            return None
        launch = [
            str(os.getuid()),
            str(os.getppid()),
            environment.get("MASTER_PORT", "0"),
            environment.get("TORCHELASTIC_RESTART_COUNT", "0"),
        ]
        parts = Parts(temporary() / "-".join(("gradaudit", *launch)))
        return cls(place.rank, place.world_size, place.local_rank, place.local_size, parts)

    @property
    def part(self) -> str:
        """The name of this rank's part."""
        return f"{self.rank:06}"

    @property
    def leads(self) -> bool:
        """Whether this rank speaks for all while they are at work."""
        return self.local_rank == 0

    def join(self) -> None:
        """Let the neighbours know that this rank lives, and has said nothing so far."""
        self.parts.make()
        for stale in self.parts.directory.glob(f"{self.part}*"):
            stale.unlink()
        fd = _open(self._life(self.local_rank))
        fcntl.lockf(fd, fcntl.LOCK_EX)
        self._lives.append(fd)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Let no other rank begin to make the report meanwhile."""
        fd = _open(self.parts.directory / "lock")
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX)
            yield
        finally:
            os.close(fd)

    def is_last(self) -> bool:
        """Whether no neighbour lives any more; to be asked :meth:`alone`."""
        others = (rank for rank in range(self.local_size) if rank != self.local_rank)
        return not any(map(self._lives_on, others))

    def leave(self) -> None:
        """Let the neighbours know that this rank has said all; to be called :meth:`alone`."""
        while self._lives:
            os.close(self._lives.pop())

    def _life(self, local_rank: int) -> Path:
        return self.parts.directory / f"{local_rank}.life"

    def _lives_on(self, local_rank: int) -> bool:
        file = self._life(local_rank)
        if not file.exists():
            return time.monotonic() - self._began < _BEGUN_BY
        fd = _open(file)
        try:
            fcntl.lockf(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(fd)
        return False


def _open(file: Path) -> int:
    low = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, FIRST_FD)
    finally:
        os.close(low)
