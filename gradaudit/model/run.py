"""How a run is limited, and how it ended: what launch tells the layers below and back."""

from __future__ import annotations

from dataclasses import dataclass

from gradaudit.model.report import ExceptionInfo, Outcome


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop the training: after so many iterations, or seconds, whichever comes first.

    ``overhead`` is the share of the run's time that the audit should not exceed behind the probe.
    """

    max_iterations: int | None = None
    max_seconds: float | None = None
    overhead: float = 0.03


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run from outside once it is over; the rest of the report is observed.

    ``rank`` and ``world_size`` are what the launcher said; torch.distributed knows better.
    ``whole`` is False where only a block of a program was audited: then things may have come before
    it, and may come behind.  ``unrecorded`` says why there is no recording, where there is none.
    """

    target: str
    argv: tuple[str, ...]
    cwd: str
    outcome: Outcome
    exit_code: int
    exception: ExceptionInfo | None
    wall_seconds: float
    stopped_by: str | None = None
    whole: bool = True
    unrecorded: str = "the script never imported torch"
    rank: int = 0
    world_size: int = 1


class TrainingStopped(SystemExit):
    """Raised inside the audited script to stop it; ``reason`` is the option that asked for it.

    It is a ``SystemExit`` so that it passes ``except Exception``, runs every ``finally``, ends a
    thread without a traceback, and is treated by frameworks as the end they know.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(0)
        self.reason = reason
