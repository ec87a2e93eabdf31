"""What a process is to run and to watch: enough for a process that the script starts, too."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.model.run import Limits


@dataclass(frozen=True, slots=True)
class Assignment:
    """One process of a run.

    ``path`` and ``cwd`` are those of before the script ran; ``rank`` and ``world_size`` are what
    the launcher said.
    """

    title: str
    argv: tuple[str, ...]
    limits: Limits
    path: tuple[str, ...]
    cwd: str
    rank: int = 0
    world_size: int = 1
