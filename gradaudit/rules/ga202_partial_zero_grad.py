"""GA202 partial-zero-grad."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.ga201_missing_zero_grad import stale_leaves
from gradaudit.rules.rule import CLEARING, MANY, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
Some parameters of a training loop are cleared before each update, others of the same loop never:
their gradients are added to what was applied before, again and again.

## Why it matters
The parameters that are missed take ever larger steps in stale directions, while the loss may fall
all the same.

## Example
```python
enc_optimizer.zero_grad()             # and the decoder?
loss.backward()
enc_optimizer.step()
dec_optimizer.step()
```

## Instead
Clear all that the backward fills: every optimizer's `zero_grad()`, or `model.zero_grad()` of the
whole model.

## When it is fine
Parameters that nothing applies, and windows that are cleared as a whole, are not reported.

## References
- torch.optim.Optimizer.zero_grad, torch.nn.Module.zero_grad
"""


def check(case: Case) -> Iterator[Verdict]:
    """Stale lives, where a clearing of the same loop passes them over."""
    missed = {
        leaf: site
        for leaf in stale_leaves(case)
        if (site := _clearing_that_misses(case, leaf)) is not None
    }
    for site, leaves in case.grouped(missed, missed.get):
        first = min(leaves)
        life = case.life(first)
        count = len(leaves)
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'is', 'are')} left out of this clearing: "
            f"{several(life.stale.count, 'update')} used gradients that were applied before",
            "Clear these parameters as well, once per update and before the backward.",
            site,
            leaves,
            chain=(
                Link("others of the same loop are cleared here", site),
                Link("a backward adds to what was applied before", life.stale.main_site()),
                Link(
                    "the sum is applied here",
                    life.updated.main_site() or case.step_site(first),
                ),
            ),
            span=life.stale.span(),
        )


def _clearing_that_misses(case: Case, leaf: int) -> Site | None:
    """The clearing, about as frequent as the stale updates, of others that the same backward fills.

    One that is aimed at the leaf itself, and comes too rarely, is another fault.
    """
    life = case.life(leaf)
    fed_by = set(life.deposited.sites)
    best: tuple[int, Site] | None = None
    for site, record in case.ledger.clearings.items():
        if leaf in record.targets:
            return None
        often = 2 * record.count >= life.stale.count
        together = any(
            fed_by & set(case.life(other).deposited.sites) and case.life(other).applied
            for other in record.targets
        )
        if often and together and (best is None or record.count > best[0]):
            best = record.count, site
    return None if best is None else best[1]


RULE = Rule(
    "GA202",
    "partial-zero-grad",
    "error",
    CLEARING,
    "Some parameters of a loop are cleared, others are added to after they were applied.",
    DOCUMENTATION,
    check,
    proven_after=MANY,
)
