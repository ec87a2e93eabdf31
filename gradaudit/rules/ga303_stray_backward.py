"""GA303 stray-backward."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.mixtures import Mixture, MixtureKind
from gradaudit.ledger.tally import Tally
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.provenance import chain, for_an_input, mixtures, now_and_then, root_of
from gradaudit.rules.rule import ACCUMULATION, SEVERAL, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
A step applies, besides the gradients of the training loss, those of another backward that was
called for something else: the same loss backpropagated twice, by itself or within a sum, or ahead
of a step whose closure does it as well, an attack or a penalty that wanted the gradient of its
input, a monitor that wanted a norm.

## Why it matters
The same loss twice doubles the gradient. An attack's backward trains the model on the clean batch
as well, a penalty's adds the slope of the critic to its loss.

## Example
```python
cross_entropy(model(x), y).backward()      # for x.grad
x_adv = x + eps * x.grad.sign()
cross_entropy(model(x_adv), y).backward()  # on top of it
optimizer.step()
```

## Instead
`torch.autograd.grad(loss, x)` gives the gradient of an input and leaves the parameters alone;
or call `optimizer.zero_grad()` before the training backward.

## When it is fine
Several losses with several backwards that belong to one step are not reported: only where both
were of the same tensor, or one of a part of the other's (an error), where a stray one's gradients
were read in an input or, now and then, in the parameters, or came ahead of a closure (a warning:
they may be meant to train as well). A backward whose gradients the closure clears is nothing.

## References
- torch.autograd.grad
"""


#: Mixtures of backwards of which nothing says that they do not belong together.
_UNRELATED: tuple[MixtureKind, ...] = ("beside", "read")


def check(case: Case) -> Iterator[Verdict]:
    """Applied together with the training backward: the same root again, an attack, a monitor."""
    for mixture, leaves in mixtures(case, "again"):
        if leaves[min(leaves)].count >= 2 or case.life(min(leaves)).applied.count <= 2:
            yield _twice(case, mixture, leaves)
    for mixture, leaves in _parts(case):
        yield _part(case, mixture, leaves)
    for kind in _UNRELATED:
        for mixture, leaves in mixtures(case, kind):
            if for_an_input(case, mixture):
                yield _beside(case, mixture, leaves, "the gradient of its input")
            elif kind == "read" and now_and_then(leaves):
                yield _beside(case, mixture, leaves, "a look at the gradients")
            elif _ahead_of_closure(case, mixture) and leaves[min(leaves)].count >= 2:
                yield _besides_closure(case, mixture, leaves)


def _parts(case: Case) -> Iterator[tuple[Mixture, dict[int, Tally]]]:
    """Backwards of losses of which the training loss is made."""
    found: dict[tuple[Site, Site], tuple[Mixture, dict[int, Tally]]] = {}
    for kind in _UNRELATED:
        for mixture, leaves in mixtures(case, kind):
            if mixture.stray in case.ledger.backwards[mixture.main].parts:
                both = mixture.stray, mixture.main
                found.setdefault(both, (mixture, {}))[1].update(leaves)
    yield from found.values()


def _twice(case: Case, mixture: Mixture, leaves: dict[int, Tally]) -> Verdict:
    first = min(leaves)
    return Verdict(
        f"{root_of(case, mixture.stray)} is backpropagated a second time: {_held_twice(leaves)}",
        "Remove one of the two backwards, or clear the gradients between them.",
        mixture.stray,
        frozenset(leaves),
        chain=chain(case, Mixture("again", mixture.main, mixture.stray), first),
        span=leaves[first].span(),
    )


def _part(case: Case, mixture: Mixture, leaves: dict[int, Tally]) -> Verdict:
    first = min(leaves)
    return Verdict(
        f"{root_of(case, mixture.stray)} is backpropagated here, and once more as a part of "
        f"{root_of(case, mixture.main)}: {_held_twice(leaves)}",
        "Backpropagate the sum only, or each part only once; for a look at the gradients of a part "
        "use torch.autograd.grad.",
        mixture.stray,
        frozenset(leaves),
        chain=chain(case, mixture, first),
        span=leaves[first].span(),
    )


def _held_twice(leaves: dict[int, Tally]) -> str:
    count = len(leaves)
    return (
        f"{several(count, 'parameter')} {does(count, 'holds', 'hold')} its gradient twice when "
        f"{does(count, 'it is', 'they are')} updated"
    )


def _ahead_of_closure(case: Case, mixture: Mixture) -> bool:
    """Whether the closure of a step backpropagates what was backpropagated ahead of the step."""
    backwards = case.ledger.backwards
    return backwards[mixture.main].asked and not backwards[mixture.stray].asked


def _besides_closure(case: Case, mixture: Mixture, leaves: dict[int, Tally]) -> Verdict:
    count = len(leaves)
    return Verdict(
        f"{root_of(case, mixture.stray)} is backpropagated ahead of a step whose closure "
        f"backpropagates {root_of(case, mixture.main)}: {several(count, 'parameter')} "
        f"{does(count, 'holds', 'hold')} the sum of both when {does(count, 'it is', 'they are')} "
        "updated",
        "Leave the backward to the closure, and begin the closure with zero_grad.",
        mixture.stray,
        frozenset(leaves),
        severity="warning",
        chain=chain(case, mixture, min(leaves)),
        span=leaves[min(leaves)].span(),
    )


def _beside(case: Case, mixture: Mixture, leaves: dict[int, Tally], wanted: str) -> Verdict:
    first = min(leaves)
    return Verdict(
        f"the backward of {root_of(case, mixture.stray)}, called for {wanted}, is applied to "
        f"{several(len(leaves), 'parameter')} together with the training loss",
        "Use torch.autograd.grad for what it is called for, or clear the gradients before the "
        "training backward.",
        mixture.stray,
        frozenset(leaves),
        severity="warning",
        chain=chain(case, mixture, first),
        span=leaves[first].span(),
    )


RULE = Rule(
    "GA303",
    "stray-backward",
    "error",
    ACCUMULATION,
    "When applied, it holds the contributions of a second backward beside the training one.",
    DOCUMENTATION,
    check,
    proven_after=SEVERAL,
)
