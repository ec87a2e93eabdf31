"""GA305 leftover-accumulation."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.life import Life
from gradaudit.rules.case import Case
from gradaudit.rules.rule import ACCUMULATION, Link, Rule, Verdict
from gradaudit.rules.windows import typical_window
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
The last accumulation window of an epoch, or of the run, is shorter than the others and is never
applied.

## Why it matters
Little, as a rule: some batches of each epoch are computed for nothing. With few windows to an epoch
it is a good part of the data.

## Example
```python
for i, (x, y) in enumerate(loader):               # ten batches
    (criterion(model(x), y) / 4).backward()
    if (i + 1) % 4 == 0:                          # applied after the 4th and the 8th
        optimizer.step()
        optimizer.zero_grad()
```

## Instead
Step at the end of the epoch as well: `if (i + 1) % 4 == 0 or i + 1 == len(loader)`.

## When it is fine
It often is; hence a note.

## References
- accelerate: gradient accumulation, "sync_with_dataloader"
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives of windows, the last of which was left."""
    if not case.complete:
        return
    left = [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed and case.optimizers_of(leaf) and _left_over(case, leaf)
    ]
    for site, leaves in case.grouped(left, lambda leaf: case.life(leaf).deposited.main_site()):
        life = case.life(min(leaves))
        count = len(leaves)
        lost = _wiped(life, typical_window(case, min(leaves))) + life.held
        yield Verdict(
            f"{several(lost, 'backward')} of {several(count, 'parameter')} "
            f"{does(lost, 'was', 'were')} left over at the end of a window and never applied",
            "Step once more where the data ends, so that the last short window is applied, too.",
            site,
            leaves,
            severity="note",
            chain=(
                Link("the backward fills the gradients", site),
                Link("windows are applied here", case.step_site(min(leaves))),
                Link("the rest is cleared here", life.lost.main_site()),
            ),
        )


def _left_over(case: Case, leaf: int) -> bool:
    life = case.life(leaf)
    window = typical_window(case, leaf)
    if window < 2 or life.stale:
        return False
    site = life.deposited.main_site()
    if site is None or life.applied_from.get(site, 0) < 2 * life.applied.count:
        return False  # several backwards to a step, but each from a place of its own
    if any(entry.site is not site for entry in life.stock):
        return False
    if _wiped(life, window) and life.held < window:
        return True
    return 0 < life.held < window and case.whole  # else the rest may come behind what was seen


def _wiped(life: Life, window: int) -> int:
    """Contributions of windows cut short; of whole ones, a GradScaler has skipped the step."""
    return sum(count * times for count, times in life.lost_at_once.items() if count < window)


RULE = Rule(
    "GA305",
    "leftover-accumulation",
    "note",
    ACCUMULATION,
    "An epoch or the run ends with a window that is never applied.",
    DOCUMENTATION,
    check,
)
