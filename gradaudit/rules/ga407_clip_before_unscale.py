"""GA407 clip-before-unscale."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.rules.case import Case
from gradaudit.rules.rule import OPTIMIZER, SEVERAL, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
Gradients are clipped while a GradScaler's scale is still in them.

## Why it matters
With a scale of 65536 a bound of 1 is a bound of 0.000015: nearly everything is clipped, and the
steps become tiny or, after the scale has changed, different ones.

## Example
```python
scaler.scale(loss).backward()
clip_grad_norm_(model.parameters(), 1.0)
scaler.step(optimizer)
```

## Instead
`scaler.unscale_(optimizer)` before the clip; `scaler.step` then does not do it again.

## When it is fine
A scaler that is not enabled scales nothing.

## References
- PyTorch: Automatic mixed precision examples, "Gradient clipping"
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives that are clipped with the scale in them."""
    scaled = [leaf for leaf in case.recording.leaves if case.life(leaf).clipped_scaled.count >= 2]
    for site, leaves in case.grouped(
        scaled, lambda leaf: case.life(leaf).clipped_scaled.main_site()
    ):
        life = case.life(min(leaves))
        count = len(leaves)
        unscaled = next((each for kind, each in case.ledger.counts if kind == "unscale"), None)
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} is clipped "
            "while still scaled by the GradScaler",
            "Call scaler.unscale_(optimizer) before the clip.",
            site,
            leaves,
            chain=(
                Link("the scaled loss is backpropagated here", life.deposited.main_site()),
                Link("clipped here, with the scale in it", site),
                Link("unscaled only here", unscaled),
                Link("applied here", case.step_site(min(leaves))),
            ),
            span=life.clipped_scaled.span(),
        )


RULE = Rule(
    "GA407",
    "clip-before-unscale",
    "error",
    OPTIMIZER,
    "It is clipped while still scaled by a GradScaler.",
    DOCUMENTATION,
    check,
    proven_after=SEVERAL,
)
