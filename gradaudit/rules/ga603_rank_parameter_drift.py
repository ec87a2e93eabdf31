"""GA603 rank-parameter-drift."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.findings import Span
from gradaudit.rules.ranks import Ranks, unequal
from gradaudit.rules.rule import RANKS, Discord, Rule
from gradaudit.rules.words import does, in_a_row, several

DOCUMENTATION = """
## What it finds
A parameter in DistributedDataParallel has different values on two ranks at the same step, although
its gradients are the same on both. Found when the reports of the ranks are merged, by norms that
each rank has sampled for itself.

## Why it matters
DistributedDataParallel makes parameters equal once, when it is built, and only averages gradients
from then on. Ranks that differ stay different: their gradients are averaged, but each of them was
computed for another model.

## Example
```python
model = DistributedDataParallel(net)
if rank == 0:
    net.load_state_dict(torch.load("checkpoint.pt"))     # the others keep their random weights
```

## Instead
Load and initialise before the wrapper is built, or on all ranks. Do to parameters and to the state
of the optimizer on all ranks what is done on one.

## When it is fine
What GA601 and GA602 explain is not told again. Parameters that are not wrapped, ranks that count
iterations otherwise, and differences of rounding are not compared.

## References
- torch.nn.parallel.DistributedDataParallel: "Internal Design", construction
"""

#: The same updates give the same values; this is for devices that round otherwise.
_TOLERANCE = 1e-4


def check(ranks: Ranks) -> Iterator[Discord]:
    """Replicated parameters whose values differ, to the end, though nothing else does."""
    drifting: dict[tuple[tuple[int, ...], Span, int], list[str]] = {}
    for name, copies in ranks.replicated():
        compared = ranks.sampled(copies, lambda info: info.value_norm)
        apart_in = unequal(compared, _TOLERANCE)
        if name not in ranks.claimed and apart_in and apart_in[-1] == max(compared):
            span = Span(apart_in[0], apart_in[-1], len(apart_in))
            apart = tuple(sorted(rank for copy in copies for rank in copy.ranks))
            drifting.setdefault((apart, span, min(compared)), []).append(name)
    for (apart, span, first), names in drifting.items():
        since = "from the first step on" if span.first == first else f"since iteration {span.first}"
        yield Discord(
            f"the values of {several(len(names), 'parameter')} are not the same on ranks "
            f"{in_a_row(apart)} {since}, although {does(len(names), 'its', 'their')} "
            "gradients are",
            "Load and initialise before the wrapper is built, or on all ranks alike; see to it "
            "that optimizers have the same settings and state everywhere.",
            tuple(names),
            apart,
            ranks.built(names[0]),
            span=span,
        )


RULE = Rule(
    "GA603",
    "rank-parameter-drift",
    "error",
    RANKS,
    "A replicated parameter has different values on two ranks.",
    DOCUMENTATION,
    check,
)
