"""GA404 step-without-gradient."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.records import OptimizerRecord
from gradaudit.model.findings import Span
from gradaudit.model.sites import Site
from gradaudit.rules.case import FOR_GOOD, Case
from gradaudit.rules.rule import OPTIMIZER, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
A step at which none of the optimizer's parameters has a gradient, time and again at the same place,
while the optimizer is stepped with gradients elsewhere. As a note: parameters that had gradients
and, from some iteration on, have none any more, where the cause was not seen.

## Why it matters
It does nothing; whoever wrote it believes that it does. (Not all optimizers: one with momentum of
its own making, or a wrapper that decays weights, may move the parameters all the same.)

## Example
```python
@torch.no_grad()
def validate(model, optimizer, batches):
    for x, y in batches:
        loss = criterion(model(x), y)
        optimizer.step()                 # copied from the training loop
```

## Instead
Remove it, or call the backward that it was meant to follow.

## When it is fine
A step here and there that finds nothing (a skipped batch, one ahead of the loop) is not reported.
Neither is one that calls a closure and clears what it has applied, nor a parameter in whose place
another one is trained.

## References
- torch.optim.Optimizer.step
"""


def check(case: Case) -> Iterator[Verdict]:
    """Places where steps find nothing, and lives that ended for no reason that was seen."""
    for record in case.ledger.optimizers.values():
        for site, count in record.empty.sites.items():
            if site is not None and count >= 2 and record.step_sites.get(site) == count:
                verdict = _idle_step(case, record, site, count)
                if verdict is not None:
                    yield verdict
    yield from _ended(case)


def _idle_step(case: Case, record: OptimizerRecord, site: Site, count: int) -> Verdict | None:
    leaves = frozenset(
        leaf
        for leaf in record.members
        if leaf in case.recording.leaves
        and leaf not in case.claimed
        and case.life(leaf).applied
        and not _asked_for(case, leaf)
    )
    if not leaves:
        return None
    others = {each: times for each, times in record.step_sites.items() if each is not site}
    elsewhere = max(others, key=others.__getitem__) if others else None
    return Verdict(
        f"`{case.optimizer_name(record)}` is stepped here {several(count, 'time')}, and never with "
        "a gradient",
        "Remove this step, or call the backward that it was meant to follow.",
        site,
        leaves,
        severity="warning",
        chain=(
            Link("stepped here without any gradient", site),
            Link("stepped with gradients here", elsewhere),
            Link("cleared here", case.life(min(leaves)).cleared.main_site()),
        ),
        span=Span(record.empty.first, record.empty.last, count),
    )


def _asked_for(case: Case, leaf: int) -> bool:
    """Whether steps themselves asked for all of its gradients: they may have cleared them, too."""
    sites = case.life(leaf).deposited.sites
    return bool(sites) and all(case.ledger.backwards[site].asked for site in sites if site)


def _ended(case: Case) -> Iterator[Verdict]:
    """Gradients that came until some iteration, while the steps went on."""
    ended = [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed
        and case.life(leaf).deposited
        and case.life(leaf).applied
        and case.life(leaf).hungry >= FOR_GOOD
        and case.evidence(leaf).requires_grad
        and not case.families.comes_back(leaf)
        and not case.families.handed_on(leaf)
        and not case.made_for_a_while(leaf)
        and not case.succeeded(leaf)
    ]
    for site, leaves in case.grouped(ended, case.step_site):
        life = case.life(max(leaves, key=lambda leaf: case.life(leaf).deposited.last))
        yield Verdict(
            f"{several(len(leaves), 'parameter')} had gradients until iteration "
            f"{life.deposited.last} and none since; what cuts them off was not seen",
            "If that is meant, freeze them from there on; if not, look for what changes then.",
            site,
            leaves,
            severity="note",
            chain=(Link("last filled here", life.deposited.main_site()),),
            span=Span(life.deposited.last + 1, case.everything().last, life.hungry),
        )


RULE = Rule(
    "GA404",
    "step-without-gradient",
    "warning",
    OPTIMIZER,
    "It is stepped with None while no other rule says why.",
    DOCUMENTATION,
    check,
)
