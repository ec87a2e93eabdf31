"""GA204 accumulation-wiped."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.rules.case import Case
from gradaudit.rules.rule import CLEARING, MANY, Link, Rule, Verdict
from gradaudit.rules.windows import backwards_lost, starved_in_windows, wiped
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
A gradient is cleared inside its own accumulation window: of several backwards before a step, be it
of one loss over batches or of several losses, only what came after the last clearing is applied,
and nothing else was ever done with the rest.

## Why it matters
The batches that were wiped are computed for nothing, and the steps are as noisy as if there were no
accumulation at all.

## Example
```python
for i, (x, y) in enumerate(loader):
    optimizer.zero_grad()                 # every batch …
    (criterion(model(x), y) / 4).backward()
    if (i + 1) % 4 == 0:
        optimizer.step()                  # … applied every fourth
```

## Instead
Clear once per step: right behind `optimizer.step()`, or before the first backward of a window.

## When it is fine
Backwards whose gradients were read before they were cleared, whose other parameters were stepped
(a generator's in a discriminator), or that ran in eval mode are not reported. Neither is a batch
skipped now and then, nor what a step should have applied that is missing (GA405).

## References
- torch.optim.Optimizer.zero_grad
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives of which much was lost between steps that applied something else."""
    lost = {leaf: case.life(leaf).lost.main_site() for leaf in wiped(case)}
    starved = {
        leaf: tally.main_site()
        for leaf, tally in starved_in_windows(case).items()
        if leaf not in case.claimed
    }
    cleared = lost | starved
    for site, leaves in case.grouped(cleared, cleared.get):
        first = min(leaves & lost.keys())
        life = case.life(first)
        count = len(leaves)
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} is cleared "
            f"inside the window that it belongs to: {several(backwards_lost(life), 'backward')} "
            f"computed for nothing, {several(life.applied.count, 'update')} without them",
            "Clear once per step, outside of the window: right behind the step, or before the "
            "window's first backward.",
            site,
            leaves,
            # of another place's backward it is not certain that anything was to apply it
            severity=None if life.lost_from <= set(life.applied_from) else "warning",
            chain=(
                Link("the backward fills the gradients", life.deposited.main_site()),
                Link("they are cleared here before anything used them", site),
                Link(
                    "the step applies only what came after the last clearing",
                    life.updated.main_site() or case.step_site(first),
                ),
            ),
            span=life.lost.span(),
        )


RULE = Rule(
    "GA204",
    "accumulation-wiped",
    "error",
    CLEARING,
    "A gradient is cleared inside its own accumulation window.",
    DOCUMENTATION,
    check,
    proven_after=MANY,
)
