"""GA204 accumulation-wiped."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.rules.case import Case
from gradaudit.rules.rule import CLEARING, MANY, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
A gradient is cleared inside its own accumulation window: of several backwards before a step, only
what came after the last clearing is applied, and nothing else was ever done with the rest.

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
(a generator's in a discriminator), or that ran in eval mode are not reported; neither is a batch
skipped now and then.

## References
- torch.optim.Optimizer.zero_grad
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives of which much was lost between steps that applied something else."""
    wiped = [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed and _wiped_inside(case, leaf)
    ]
    for site, leaves in case.grouped(wiped, lambda leaf: case.life(leaf).lost.main_site()):
        life = case.life(min(leaves))
        count = len(leaves)
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} is cleared "
            f"inside the window that it belongs to: {several(life.lost.count, 'backward')} "
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
                    life.updated.main_site() or case.step_site(min(leaves)),
                ),
            ),
            span=life.lost.span(),
        )


def _wiped_inside(case: Case, leaf: int) -> bool:
    life = case.life(leaf)
    if life.lost.count < 2 or not life.applied or life.lost.count < life.applied.count:
        return False
    if life.lost_from <= case.fruitless | (case.unstepped - set(life.applied_from)):
        return False  # what they were called for is cut off, or never stepped; that has been told
    return typical_window(case, leaf) < 2  # else what is lost is the rest of a longer window


def typical_window(case: Case, leaf: int) -> int:
    """How many contributions a step applies, in most iterations that applied any."""
    weights: dict[int, int] = {}
    for run in case.life(leaf).timeline:
        if run.state in ("fresh", "accumulated", "stale"):
            weight = run.last - run.first + 1
            weights[run.contributions] = weights.get(run.contributions, 0) + weight
    return max(weights, key=weights.__getitem__) if weights else 0


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
