"""GA203 zero-before-step."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator
from dataclasses import replace

from gradaudit.ledger.tally import SiteTally
from gradaudit.rules.case import Case
from gradaudit.rules.rule import CLEARING, MANY, Link, Rule, Verdict
from gradaudit.rules.windows import mostly_starved, starved_in_windows
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
A gradient is cleared between its backward and its step, so the step applies nothing.

## Why it matters
With gradients set to None the optimizer skips the parameters; with zeros it applies only weight
decay and momentum. The model does not learn, or unlearns.

## Example
```python
loss.backward()
optimizer.zero_grad()   # throws away what backward has just computed
optimizer.step()
```

## Instead
Clear before the backward, or after the step. Everywhere else its place is a matter of taste.

## When it is fine
Clearing a part of the gradients by hand before the step (not training the last layer in the first
epoch) is done on purpose and not reported, but for a note where the whole run applied nothing to
that part. Neither are evaluations of a closure. Where the same clearing also takes from others what
belongs to the step, all of it is told as GA204.

## References
- torch.optim.Optimizer.zero_grad
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives whose steps mostly find what a clearing has left."""
    elsewhere = starved_in_windows(case)
    yield from _verdicts(case, _telling, elsewhere)
    for verdict in _verdicts(case, _left_out, elsewhere):
        yield replace(
            verdict,
            severity="note",
            help="If that is meant, freeze them: requires_grad_(False) says so, and saves the "
            f"backward. If not: {verdict.help[0].lower()}{verdict.help[1:]}",
        )


def _verdicts(
    case: Case, telling: Callable[[Case, int], SiteTally | None], elsewhere: Container[int]
) -> Iterator[Verdict]:
    starved = {
        leaf: tally
        for leaf in case.recording.leaves
        if leaf not in case.claimed
        and leaf not in elsewhere
        and (tally := telling(case, leaf)) is not None
    }
    for site, leaves in case.grouped(starved, lambda leaf: starved[leaf].main_site()):
        first = min(leaves)
        tally = starved[first]
        life = case.life(first)
        count = len(leaves)
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} is cleared "
            f"between backward and step: {several(tally.count, 'step')} applied nothing",
            "Move the clearing before the backward, or behind the step.",
            site,
            leaves,
            chain=(
                Link("the backward fills the gradients", life.deposited.main_site()),
                Link("they are cleared here", site),
                Link("the step finds nothing", life.missing.main_site()),
            ),
            span=tally.span(),
        )


def _telling(case: Case, leaf: int) -> SiteTally | None:
    """The starved steps that prove it: of the whole optimizer, or of a part for good."""
    life = case.life(leaf)
    for by_hand, whole, tally in mostly_starved(life):
        if whole or (not by_hand and not life.applied.count):
            return tally
    return None


def _left_out(case: Case, leaf: int) -> SiteTally | None:
    """The steps of a whole run that left out what was cleared by hand."""
    life = case.life(leaf)
    tally = life.starved.get((True, False))
    never = tally is not None and not life.applied and tally.count == life.missing.count
    return tally if never else None


RULE = Rule(
    "GA203",
    "zero-before-step",
    "error",
    CLEARING,
    "A gradient is cleared between backward and step, so the step applies nothing.",
    DOCUMENTATION,
    check,
    proven_after=MANY,
)
