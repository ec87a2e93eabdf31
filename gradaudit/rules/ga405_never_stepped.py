"""GA405 never-stepped."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.records import OptimizerRecord
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.cuts import expression
from gradaudit.rules.rule import OPTIMIZER, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
Parameters receive gradients and have an optimizer, and its step is never reached: forgotten, named
but not called (`optimizer.step` without parentheses), behind a condition that is never true, or at
the end of a window that is never full.

## Why it matters
Nothing is trained. If the gradients are not cleared either they grow without end.

## Example
```python
for i, (x, y) in enumerate(loader):        # five batches
    (criterion(model(x), y) / 8).backward()
    if (i + 1) % 8 == 0:
        optimizer.step()
```

## Instead
Call `optimizer.step()`; `scheduler.step()` changes the learning rate only. Count micro-batches
across epochs, or step at the end of each.

## When it is fine
Optimizers that begin to step later in the run, and parameters updated by another optimizer or by
hand, are not reported. When the audit was stopped before the script's end it is only a note. Where
only a block is audited, what has arrived may still be applied behind it: that is a note if the
optimizer was built in the block, and nothing if not.

## References
- torch.optim.lr_scheduler, "How to adjust learning rate"
"""


#: How often a backward must have come by for a step to be missed.
OFTEN = 3


def check(case: Case) -> Iterator[Verdict]:
    """Optimizers without any step whose members are fed."""
    for number, record in case.ledger.optimizers.items():
        if record.steps:
            continue
        fed = frozenset(
            leaf
            for leaf in record.members
            if leaf in case.recording.leaves
            and leaf not in case.claimed
            and max(case.life(leaf).deposited.sites.values(), default=0) >= OFTEN
            and not case.life(leaf).assigned
            and not case.life(leaf).applied
            and not any(other.steps for other in case.optimizers_of(leaf))
        )
        in_vain = _in_vain(case, record, fed)
        if not fed or (not in_vain and record.site is None):
            continue
        # of a stretch of a program the step may well stand behind it
        unreached = case.recording.optimizers[number].unreached if case.whole else None
        count = len(fed)
        yield Verdict(
            f"`{case.optimizer_name(record)}` is never stepped: {several(count, 'parameter')} "
            f"{does(count, 'receives', 'receive')} gradients that nothing applies",
            _help(unreached),
            unreached or record.site or case.life(min(fed)).deposited.main_site(),
            fed,
            severity="error" if case.complete and in_vain else "note",
            chain=(
                Link("built here", record.site),
                Link(
                    "this names its step and does not call it"
                    if _uncalled(unreached)
                    else "this step is never reached",
                    unreached,
                ),
                Link("gradients arrive here", case.life(min(fed)).deposited.main_site()),
            ),
            span=case.life(min(fed)).deposited.span(),
        )


def _help(unreached: Site | None) -> str:
    if unreached is None:
        return "Call its step() after the backward."
    if _uncalled(unreached):
        return "Add the parentheses: without them nothing is called."
    return "See to it that this step is reached."


def _uncalled(unreached: Site | None) -> bool:
    """Whether the parentheses are missing."""
    text = None if unreached is None else expression(unreached)
    return text is not None and text.endswith(".step")


def _in_vain(case: Case, record: OptimizerRecord, fed: frozenset[int]) -> bool:
    """Whether no later step can make it good.

    The run is over, the gradients were cleared, or others were stepped time and again since it was
    built.
    """
    if case.whole or all(case.life(leaf).lost.count >= OFTEN for leaf in fed):
        return True
    others = any(other.steps >= OFTEN for other in case.ledger.optimizers.values())
    return others and record.site is not None


RULE = Rule(
    "GA405",
    "never-stepped",
    "error",
    OPTIMIZER,
    "It receives gradients and has an optimizer, but step is never reached.",
    DOCUMENTATION,
    check,
)
