"""The report, version 1: the contract that tools build on.

Fields may be added; none is renamed or dropped within version 1.  The JSON Schema beside this
module (``report.schema.json``) is generated from these types and checked against them in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradaudit.model.findings import Finding, Suppressed
from gradaudit.model.sites import Location

SCHEMA_VERSION = 1

Outcome = Literal["completed", "failed", "stopped", "interrupted"]

#: What an iteration meant for a parameter's gradient.
State = Literal[
    "none",  # no gradient at all
    "fresh",  # one contribution, applied
    "accumulated",  # several contributions, applied together
    "stale",  # applied together with what an earlier step had applied already
    "discarded",  # cleared before anything applied it
    "unapplied",  # still held at the end of the iteration
    "zero",  # applied, and all zero whenever it was sampled
    "nonfinite",  # applied, with NaN or Inf whenever it was sampled
    "frozen",  # requires_grad was False
]


@dataclass(frozen=True, slots=True)
class Tool:
    """Who wrote the report."""

    name: str
    version: str


@dataclass(frozen=True, slots=True)
class Environment:
    """Where it was run; ``devices`` as torch calls them."""

    python: str
    torch: str | None
    platform: str
    devices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ExceptionInfo:
    """The exception that ended the script."""

    type: str
    message: str
    location: Location | None


@dataclass(frozen=True, slots=True)
class Run:
    """What was run, how it ended, and how much of it was training.

    ``stopped_by`` is the option that stopped it, and at what.
    """

    target: str
    argv: tuple[str, ...]
    cwd: str
    outcome: Outcome
    exit_code: int
    exception: ExceptionInfo | None
    iterations: int
    backward_calls: int
    optimizer_steps: int
    zero_grad_calls: int
    wall_seconds: float
    audit_seconds: float
    rank: int = 0
    world_size: int = 1
    stopped_by: str | None = None


@dataclass(frozen=True, slots=True)
class RankInfo:
    """One process of a merged report.

    ``world_size`` is more than 1 for a rank of torch.distributed; other processes are numbered in
    the order in which they were started.
    """

    rank: int
    world_size: int
    outcome: Outcome
    exit_code: int
    exception: ExceptionInfo | None
    iterations: int
    backward_calls: int
    optimizer_steps: int
    zero_grad_calls: int
    wall_seconds: float
    audit_seconds: float


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that was not observed, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Stride:
    """Every ``step``-th iteration from ``first`` to ``last``."""

    first: int
    last: int
    step: int


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was observed closely, and what was not at all.

    ``sampled`` are the iterations in which the values of gradients were looked at, and not only
    their states.
    """

    probed_iterations: int
    gaps: tuple[Gap, ...]
    sampled: tuple[Stride, ...] = ()


@dataclass(frozen=True, slots=True)
class LoopEvent:
    """How often one line inside a loop did something to gradients."""

    kind: str
    location: Location
    count: int


@dataclass(frozen=True, slots=True)
class Loop:
    """A ``for`` or ``while`` of the user's around training; ``location`` is its first line."""

    location: Location
    passes: int
    events: tuple[LoopEvent, ...]


@dataclass(frozen=True, slots=True)
class OptimizerInfo:
    """One optimizer and its members."""

    name: str
    type: str
    location: Location | None
    parameters: tuple[str, ...]
    steps: int


@dataclass(frozen=True, slots=True)
class TimelineRun:
    """Iterations ``first`` to ``last``, both included, in which the state was the same.

    Where a timeline has too many runs to tell them all, neighbours are ``mixed`` in one, and the
    gravest of their states is told.  ``zero`` and ``nonfinite`` are told from a sample that showed
    it to the last in a row that did, or to the end of the run if that were several; ``life`` is
    what became of the gradient all the same.  ``backwards`` are the calls that the contributions
    came from, as indices into those of the report; of more than eight, the first.
    """

    first: int
    last: int
    state: State
    contributions: int
    mixed: bool = False
    life: State | None = None
    backwards: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ParameterInfo:
    """One parameter or other leaf: what it is, and what became of its gradient."""

    name: str
    aliases: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    numel: int
    requires_grad: bool
    is_leaf: bool
    optimizers: tuple[str, ...]
    timeline: tuple[TimelineRun, ...]
    grad_norm: tuple[tuple[int, float], ...] = ()
    replicated: bool = False  # DistributedDataParallel keeps it equal on all ranks
    value_norm: tuple[tuple[int, float], ...] = ()  # sampled, of a replicated one
    bypass: Location | None = None  # where a replicated one was used, and not by its wrapper
    ranks: tuple[int, ...] = ()  # of a merged report: in which ranks it lived so


@dataclass(frozen=True, slots=True)
class Summary:
    """How many findings of each severity."""

    error: int
    warning: int
    note: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything one run has to say.

    ``backwards`` are the places at which gradients were computed, in order of appearance.
    In a merged report the iterations of ``run`` are those of the process that made most of them,
    and its calls are those of all processes together.
    """

    schema_version: Literal[1]
    tool: Tool
    environment: Environment
    run: Run
    coverage: Coverage
    loops: tuple[Loop, ...]
    optimizers: tuple[OptimizerInfo, ...]
    parameters: tuple[ParameterInfo, ...]
    findings: tuple[Finding, ...]
    summary: Summary
    suppressed: tuple[Suppressed, ...] = ()
    unused_ignores: tuple[str, ...] = ()
    ranks: tuple[RankInfo, ...] = ()  # of a merged report: the processes it is made of
    backwards: tuple[Location, ...] = ()
