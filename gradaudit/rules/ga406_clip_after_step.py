"""GA406 clip-after-step."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.rules.case import Case
from gradaudit.rules.rule import MANY, OPTIMIZER, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
Gradients are clipped after the step that applied them; what the next step applies is not clipped.

## Why it matters
The clip does nothing, and the gradients that were to be bounded are applied as they are.

## Example
```python
loss.backward()
optimizer.step()
clip_grad_norm_(model.parameters(), 1.0)
```

## Instead
Between the backward and the step (and behind `scaler.unscale_(optimizer)`).

## When it is fine
`clip_grad_norm_(parameters, inf)` bounds nothing: it is a way to read the norm, and not reported.
Neither is clamping the weights.

## References
- torch.nn.utils.clip_grad_norm_
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives that are clipped when it is too late, as often as in time or more."""
    late = [
        leaf
        for leaf in case.recording.leaves
        if case.life(leaf).clipped_late.count >= 2
        and case.life(leaf).clipped_late.count >= case.life(leaf).clipped.count
    ]
    for site, leaves in case.grouped(late, lambda leaf: case.life(leaf).clipped_late.main_site()):
        life = case.life(min(leaves))
        count = len(leaves)
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} is clipped "
            "after the step has applied it",
            "Clip between the backward and the step.",
            site,
            leaves,
            chain=(
                Link("the backward fills the gradients", life.deposited.main_site()),
                Link("they are applied here", case.step_site(min(leaves))),
                Link("and clipped here, when it is too late", site),
                Link("cleared here", life.cleared.main_site()),
            ),
            span=life.clipped_late.span(),
        )


RULE = Rule(
    "GA406",
    "clip-after-step",
    "error",
    OPTIMIZER,
    "It is clipped after it was applied.",
    DOCUMENTATION,
    check,
    proven_after=MANY,
)
