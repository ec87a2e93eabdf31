"""GA304 unbounded-accumulation."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.rules.case import Case
from gradaudit.rules.rule import ACCUMULATION, Link, Rule, Verdict
from gradaudit.rules.windows import UNBOUNDED
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
A gradient is added to in every iteration, and nothing ever applies, reads or clears it, while
other parameters of the same loop are trained.

## Why it matters
It costs a backward through the weights and the memory of a gradient for each of them. Should
anything apply it one day, it will be the sum of the whole run.

## Example
```python
features = resnet().eval()                       # a fixed network, not frozen
loss = (features(net(x)) - features(y)).pow(2).mean()
loss.backward()                                  # fills its gradients, too
optimizer.step()                                 # trains net only
```

## Instead
`features.requires_grad_(False)`: the gradient still passes through to what is trained.

## When it is fine
Gradients that are read, cleared with the rest, or applied are not reported; neither is a script in
which only an input is optimised.

## References
- torch.nn.Module.requires_grad_
"""


def check(case: Case) -> Iterator[Verdict]:
    """Lives that only ever take in."""
    applied_from = {site for leaf in case.recording.leaves for site in case.life(leaf).applied_from}
    if not _parameters_are_trained(case):
        return
    unbounded = [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed
        and case.life(leaf).held >= UNBOUNDED
        and not case.life(leaf).applied
        and not case.life(leaf).cleared
        and not case.life(leaf).was_read
        and not case.only_differentiated(leaf)
        and not case.owned(leaf)
        and not case.perhaps_updated_unseen(leaf)
        and not case.made_for_a_while(leaf)
        and applied_from & set(case.life(leaf).deposited.sites)
    ]
    for site, leaves in case.grouped(unbounded, lambda leaf: case.life(leaf).deposited.main_site()):
        life = case.life(min(leaves))
        count = len(leaves)
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} is added to "
            f"without end: {several(life.held, 'contribution')}, none applied, none cleared",
            "Freeze what is not to be trained with requires_grad_(False); what is, give to an "
            "optimizer and clear.",
            site,
            leaves,
            severity="warning",
            chain=(
                Link("made here", case.evidence(min(leaves)).created),
                Link("every backward adds to it here", site),
            ),
            span=life.deposited.span(),
        )


def _parameters_are_trained(case: Case) -> bool:
    """Whether more than an input is optimised; then a network may well only lead to it."""
    trained = [leaf for leaf in case.recording.leaves if case.life(leaf).applied]
    owned = [leaf for leaf in trained if case.optimizers_of(leaf)]
    if owned:
        return any(case.evidence(leaf).kind == "parameter" for leaf in owned)
    return len(trained) > 1


RULE = Rule(
    "GA304",
    "unbounded-accumulation",
    "warning",
    ACCUMULATION,
    "It is added to without end, never applied, never cleared.",
    DOCUMENTATION,
    check,
)
