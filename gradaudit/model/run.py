"""How a run is limited, and how it ended: what launch tells the layers below and back."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.model.report import ExceptionInfo, Outcome


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop the training: after so many iterations, or seconds, whichever comes first."""

    max_iterations: int | None = None
    max_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What launch knows of a run once the script is over; the rest of the report is observed.

    ``rank`` and ``world_size`` are what the launcher said; torch.distributed knows better.
    """

    target: str
    argv: tuple[str, ...]
    cwd: str
    outcome: Outcome
    exit_code: int
    exception: ExceptionInfo | None
    wall_seconds: float
    rank: int = 0
    world_size: int = 1


class TrainingStopped(SystemExit):
    """Raised inside the audited script when a limit of the run is reached.

    It is a ``SystemExit`` so that it passes ``except Exception``, runs every ``finally``, ends a
    thread without a traceback, and is treated by frameworks as the end they know.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(0)
        self.reason = reason
