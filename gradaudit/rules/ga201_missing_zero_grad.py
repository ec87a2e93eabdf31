"""GA201 missing-zero-grad."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.rule import CLEARING, SEVERAL, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
A gradient is added to after it was applied, again and again: every step uses the sum of all
backwards since the last clearing, the ones it used before included. As a warning: a gradient that
nothing updates, if it is read after every backward and never cleared.

## Why it matters
The steps grow and point where the loss used to be steep. Often the loss falls all the same, so
nobody looks.

## Example
```python
for x, y in loader:
    loss = criterion(model(x), y)
    loss.backward()               # adds to what the last step has already used
    optimizer.step()
```

## Instead
Call `optimizer.zero_grad()` once per step, anywhere but between the backward and the step.
Without an optimizer, `x.grad = None` or `x.grad.zero_()` after each use.

## When it is fine
Accumulating over several backwards and stepping once is not reported, as long as a clearing follows
the step; where a step calls its closure again and again, as long as the closure clears. Neither is
a gradient that is decayed by hand between steps.

## References
- torch.optim.Optimizer.zero_grad
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives in which stale contributions are applied, or looked at, again and again."""
    yield from _applied(case)
    yield from _read(case)


def stale_leaves(case: Case) -> list[int]:
    """Leaves whose updates use old gradients again and again, and of which no cause is known."""
    return [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed
        and _again_and_again(case.life(leaf).stale.count, case.life(leaf).applied.count)
    ]


def _applied(case: Case) -> Iterator[Verdict]:
    for site, leaves in case.grouped(
        stale_leaves(case), lambda leaf: case.life(leaf).stale.main_site()
    ):
        life = case.life(min(leaves))
        count = len(leaves)
        by_hand = life.updated.main_site()
        cleared = life.cleared.main_site()
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} is added to after it was applied: "
            f"{life.stale.count} of {several(life.applied.count, 'update')} "
            f"{does(life.stale.count, 'used', 'used')} old gradients again",
            _advice(case, site),
            site,
            leaves,
            chain=(
                Link("a backward adds to gradients that were applied before", site),
                Link("the sum is applied here", by_hand or case.step_site(min(leaves))),
                Link(f"cleared here, only {several(life.cleared.count, 'time')}", cleared),
            ),
            span=life.stale.span(),
        )


def _advice(case: Case, site: Site | None) -> str:
    record = case.ledger.backwards.get(site) if site is not None else None
    if record is not None and record.asked:
        return "Begin the closure with optimizer.zero_grad(): one step may call it many times."
    return (
        "Clear the gradients once per update, before the backward: optimizer.zero_grad(), or "
        "`.grad = None` where you update by hand."
    )


def _read(case: Case) -> Iterator[Verdict]:
    """Leaves that nothing updates: their gradient is what the script is after."""
    stale = [
        leaf
        for leaf in case.recording.leaves
        if _again_and_again(case.life(leaf).stale_read.count, case.life(leaf).was_read.count)
        and not case.life(leaf).applied.count
        and not case.owned(leaf)
        and case.wanted_by_reader(leaf)
    ]
    for site, leaves in case.grouped(stale, lambda leaf: case.life(leaf).stale_read.main_site()):
        life = case.life(min(leaves))
        yield Verdict(
            f"the gradient of {several(len(leaves), 'tensor')} is read after every backward and "
            "never cleared: what is read is the sum of all of them",
            "Clear it between the backwards: `.grad = None` or `.grad.zero_()`.",
            site,
            leaves,
            severity="warning",
            chain=(
                Link("a backward adds to a gradient that was read before", site),
                Link("the sum is read here", life.was_read.main_site()),
            ),
            span=life.stale_read.span(),
        )


def _again_and_again(stale: int, used: int) -> bool:
    """More than an accident: twice, or every time there was the chance."""
    return stale >= 2 or (stale == 1 and used == 2)


RULE = Rule(
    "GA201",
    "missing-zero-grad",
    "error",
    CLEARING,
    "A gradient is added to after it was applied, again and again.",
    DOCUMENTATION,
    check,
    proven_after=SEVERAL,
)
