"""GA403 step-before-backward."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.records import OptimizerRecord
from gradaudit.rules.case import Case
from gradaudit.rules.rule import OPTIMIZER, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
An optimizer steps before the backward of the same iteration: the first step finds nothing, every
later one applies the gradients of the iteration before, and the last ones are never applied.

## Why it matters
Each update is computed for parameters, and logged beside a loss, of another iteration. With a
clearing between step and backward nothing fails.

## Example
```python
for x, y in loader:
    optimizer.step()
    optimizer.zero_grad()
    criterion(model(x), y).backward()
```

## Instead
`zero_grad()`, `backward()`, `step()`, in this order; or zero_grad() last.

## When it is fine
One empty step ahead of the loop, and an update that is put off on purpose and made up for at the
end, are not reported. When the audit was stopped before the script's end it is only a warning.

## References
- torch.optim, "Taking an optimization step"
"""


def check(case: Case) -> Iterator[Verdict]:
    """Optimizers that began with nothing and end with something left.

    In a run that was stopped, what is left may have been about to be applied: a warning.
    """
    if not (case.complete or case.cut_short):
        return
    for record in case.ledger.optimizers.values():
        late = _late(case, record)
        if not late:
            continue
        site = max(record.step_sites, key=record.step_sites.__getitem__)
        life = case.life(min(late))
        yield Verdict(
            f"`{case.optimizer_name(record)}` steps before the backward: its first step found "
            f"nothing, and {_since(case, len(late))}",
            "Step after the backward of the same iteration.",
            site,
            late,
            severity="error" if case.complete else "warning",
            chain=(
                Link("stepped here, one iteration late", site),
                Link("the gradients are cleared here", life.cleared.main_site()),
                Link("the backward that should come first", life.deposited.main_site()),
            ),
            span=case.everything(),
        )


def _since(case: Case, count: int) -> str:
    if case.complete:
        return (
            f"the gradients of the last backward of {several(count, 'parameter')} are never applied"
        )
    return f"all others applied those of {several(count, 'parameter')} one iteration late"


def _late(case: Case, record: OptimizerRecord) -> frozenset[int]:
    """The members that were fed after the last step, if the first step came before any backward."""
    if not record.began_empty or record.empty.count != 1 or record.steps < 3:
        return frozenset()
    return frozenset(
        leaf
        for leaf in record.members
        if leaf in case.recording.leaves
        and leaf not in case.claimed
        and case.life(leaf).held
        and not case.life(leaf).stale
        and case.life(leaf).applied.count == record.steps - 1
    )


RULE = Rule(
    "GA403",
    "step-before-backward",
    "error",
    OPTIMIZER,
    "It is applied one iteration late, the first step having nothing.",
    DOCUMENTATION,
    check,
)
