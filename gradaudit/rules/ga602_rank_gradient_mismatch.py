"""GA602 rank-gradient-mismatch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gradaudit.model.findings import Related, Span
from gradaudit.model.sites import Location
from gradaudit.rules.ranks import Ranks, unequal
from gradaudit.rules.rule import RANKS, Discord, Rule
from gradaudit.rules.words import in_a_row, in_ranks, several

DOCUMENTATION = """
## What it finds
The gradient of a parameter in DistributedDataParallel is not the same on all ranks when it is
applied, although the backward should have averaged it: the norms differ in the iterations that were
sampled on both. Found when the reports of the ranks are merged, without a message between them. The
finding points at the call that goes round the wrapper, or else at what is done to gradients on some
of the ranks only, or else at the backward.

## Why it matters
Every rank trains a model of its own on its own share of the data, and that of rank 0 is saved. The
losses go down, so nobody notices that the other ranks were of no use.

## Example
```python
model = DistributedDataParallel(net)
loss = criterion(model.module(x), y)     # goes round the wrapper: nothing is averaged
loss.backward()
```

## Instead
Call the wrapper: `model(x)`. Leave `no_sync` for the last backward of a window, do to gradients on
one rank what is done on all of them, and build the optimizer from the parameters that are wrapped.

## When it is fine
Models with a communication hook that averages parameters or approximates gradients, uneven inputs
under `join` and parameters that DistributedDataParallel was told to ignore are not compared.

## References
- torch.nn.parallel.DistributedDataParallel: "Internal Design", forward and backward pass; no_sync
"""

#: Equal gradients have equal norms to the last bit; this is for devices that sum in another order.
_TOLERANCE = 1e-3


#: What a script does to gradients behind the backward.
_CHANGES = frozenset({"clip", "rescale"})


def check(ranks: Ranks) -> Iterator[Discord]:
    """Replicated parameters whose norms differ between ranks."""
    differing: dict[_Difference, list[str]] = {}
    for name, copies in ranks.replicated():
        compared = ranks.sampled(copies, lambda info: info.grad_norm)
        apart_in = unequal(compared, _TOLERANCE)
        if apart_in:
            span = Span(apart_in[0], apart_in[-1], len(apart_in))
            apart = tuple(sorted(rank for copy in copies for rank in copy.ranks))
            bypasses = {copy.info.bypass for copy in copies}
            bypass = bypasses.pop() if len(bypasses) == 1 else None
            difference = _Difference(apart, span, len(compared), bypass)
            differing.setdefault(difference, []).append(name)
    for difference, names in differing.items():
        help_, location, chain = _cause(ranks, difference.bypass)
        yield Discord(
            f"the gradient of {several(len(names), 'parameter')} is not the same on ranks "
            f"{in_a_row(difference.apart)} when it is applied: it differs in "
            f"{difference.span.count} of the {several(difference.compared, 'iteration')} that "
            "were compared",
            help_,
            tuple(names),
            difference.apart,
            location,
            chain=chain,
            span=difference.span,
        )


@dataclass(frozen=True, slots=True)
class _Difference:
    """Between which ranks, when, in how many iterations, and where the wrapper was not called."""

    apart: tuple[int, ...]
    span: Span
    compared: int
    bypass: Location | None


def _cause(
    ranks: Ranks, bypass: Location | None
) -> tuple[str, Location | None, tuple[Related, ...]]:
    """How to mend it, where, and what shows it."""
    backwards = _backwards(ranks)
    if bypass is not None:
        here = Related("they are used here, and the wrapper was not called", bypass)
        help_ = (
            "Call the wrapper, model(x), and not the module inside of it: it averages the "
            "gradients of what it was called for."
        )
        return help_, bypass, (here, *backwards)
    partial = ranks.done_by_some(_CHANGES)
    if partial is not None:
        place, where = partial
        here = Related(f"changed here, {in_ranks(where)} only", place)
        return "Do to gradients on all ranks what is done on one.", place, (*backwards, here)
    return (
        "Leave no_sync() for the last backward before the step, and do to gradients on all ranks "
        "what is done on one.",
        backwards[0].location if backwards else None,
        backwards,
    )


def _backwards(ranks: Ranks) -> tuple[Related, ...]:
    """The lines of the first rank that backpropagate."""
    loops = ranks.reports[0].loops
    return tuple(
        Related("the gradients of this backward were to be averaged", event.location)
        for loop in loops
        for event in loop.events
        if event.kind == "backward"
    )


RULE = Rule(
    "GA602",
    "rank-gradient-mismatch",
    "error",
    RANKS,
    "A gradient that should be the same on all ranks is not.",
    DOCUMENTATION,
    check,
)
