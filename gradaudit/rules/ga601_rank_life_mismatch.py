"""GA601 rank-life-mismatch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gradaudit.model.findings import Related
from gradaudit.model.report import OptimizerInfo, Report
from gradaudit.model.sites import Location
from gradaudit.rules.ranks import Copy, Ranks
from gradaudit.rules.rule import RANKS, Discord, Rule
from gradaudit.rules.words import does, in_ranks, several

DOCUMENTATION = """
## What it finds
A parameter that DistributedDataParallel is to keep equal on all ranks lives differently on two of
them: it never has a gradient on one and always has one on another, or its optimizer is stepped more
often on one rank than on another. Found when the reports of the ranks are merged.

## Why it matters
A rank that applies what another does not apply trains another model. Nothing fails: each loss goes
down, and what is saved is the model of rank 0.

## Example
```python
loss = model(x).sum()
loss.backward()
if loss < threshold:      # each rank has a loss of its own
    optimizer.step()
```

## Instead
Let all ranks take the same decision: all-reduce what it depends on first. Give every rank the same
branches of the model, and call the wrapper, not `model.module`.

## When it is fine
Ranks that are meant to differ (pipelines, shards, experts, processes that share memory) are not
wrapped in DistributedDataParallel, and are not compared; nor are parameters that it was told to
ignore, models with a communication hook, uneven inputs under `join`, and a rank that did not live
to the end.

## References
- torch.nn.parallel.DistributedDataParallel: "Parameters are never broadcast between processes";
  find_unused_parameters; `join`
"""


def check(ranks: Ranks) -> Iterator[Discord]:
    """Parameters without gradient on some ranks only, and steps that not all ranks take."""
    hungry: dict[tuple[tuple[int, ...], tuple[int, ...]], list[str]] = {}
    for name, copies in ranks.replicated():
        starved = _ranks(copy for copy in copies if copy.starved)
        fed = _ranks(copy for copy in copies if copy.fed)
        if starved and fed and _alike(ranks, starved + fed):
            hungry.setdefault((starved, fed), []).append(name)
    for (starved, fed), names in hungry.items():
        yield _hungry(ranks, starved, fed, tuple(names))
    yield from _steps(ranks)


def _ranks(copies: Iterator[Copy]) -> tuple[int, ...]:
    return tuple(sorted(rank for copy in copies for rank in copy.ranks))


def _alike(ranks: Ranks, some: Sequence[int]) -> bool:
    """Whether all of these ranks have trained for as long."""
    return len({ranks.processes[rank].iterations for rank in some}) == 1


def _hungry(
    ranks: Ranks, starved: tuple[int, ...], fed: tuple[int, ...], names: tuple[str, ...]
) -> Discord:
    explained = ranks.said_only(starved, names)
    place = next((item.location for item in explained if item.location is not None), None)
    count = len(names)
    return Discord(
        f"{several(count, 'parameter')} never {does(count, 'has', 'have')} a gradient "
        f"{in_ranks(starved)} and always {does(count, 'has', 'have')} one {in_ranks(fed)}",
        "Let all ranks run the same branches of the model, through the wrapper: model(x), "
        "not model.module(x).",
        names,
        starved + fed,
        place,
        chain=explained[0].related if explained else (),
        explains=explained,
    )


def _steps(ranks: Ranks) -> Iterator[Discord]:
    """Optimizers of replicated parameters that were stepped more often on one rank."""
    replicated = {name for name, _ in ranks.replicated()}
    whole = {
        rank: report for rank, report in ranks.alone.items() if report.run.outcome == "completed"
    }
    found: dict[str, dict[int, OptimizerInfo]] = {}
    for rank, report in whole.items():
        for optimizer in report.optimizers:
            found.setdefault(optimizer.name, {})[rank] = optimizer
    for name, by_rank in found.items():
        first = next(iter(by_rank.values()))
        members = tuple(member for member in first.parameters if member in replicated)
        if members and len({optimizer.steps for optimizer in by_rank.values()}) > 1:
            yield _uneven(ranks, name, by_rank, _step_lines(whole), members)


def _uneven(
    ranks: Ranks,
    name: str,
    by_rank: dict[int, OptimizerInfo],
    lines: tuple[Related, ...],
    members: tuple[str, ...],
) -> Discord:
    by_steps: dict[int, list[int]] = {}
    for rank, optimizer in by_rank.items():
        by_steps.setdefault(optimizer.steps, []).append(rank)
    told = " and ".join(
        f"{several(steps, 'step')} {in_ranks(some)}" for steps, some in sorted(by_steps.items())
    )
    return Discord(
        f"`{name}` took {told}: from then on they train different models",
        "Let all ranks decide alike whether to step: all-reduce what the decision depends on.",
        members,
        tuple(by_rank),
        lines[0].location if lines else None,
        chain=lines,
        explains=ranks.said_only(by_steps[min(by_steps)], members),
    )


def _step_lines(whole: dict[int, Report]) -> tuple[Related, ...]:
    """The lines that step more often on one rank than on another, and how often."""
    counts: dict[Location, dict[int, int]] = {}
    for rank, report in whole.items():
        for loop in report.loops:
            for event in loop.events:
                if event.kind == "step":
                    counts.setdefault(event.location, dict.fromkeys(whole, 0))[rank] = event.count
    return tuple(
        Related(f"{several(count, 'step')} here {in_ranks((rank,))}", location)
        for location, by_rank in counts.items()
        if len(set(by_rank.values())) > 1
        for rank, count in by_rank.items()
    )


RULE = Rule(
    "GA601",
    "rank-life-mismatch",
    "error",
    RANKS,
    "A replicated parameter lives differently on two ranks.",
    DOCUMENTATION,
    check,
)
