"""GA101 unused-parameter."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.sites import Site
from gradaudit.rules.case import Case, created_stack
from gradaudit.rules.reads import read_links
from gradaudit.rules.rule import ARRIVAL, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
A trainable parameter that never took part in any forward that was backpropagated, or not in the one
whose backward torch refuses. If only its value was handed to Python, as a number, that is said.

## Why it matters
It keeps the values it was initialised with. The optimizer steps over it in silence, and in
distributed training it makes every step wait or fail.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 1)   # made, registered, optimised …

    def forward(self, x):
        return self.body(x).mean()    # … and never called
```

## Instead
Call it in `forward`, or remove it. If it is meant for later, freeze it until then
(`self.head.requires_grad_(False)`).

## When it is fine
Experts and blocks that are idle in some iterations are not reported: their siblings show that
they take turns. Where a limit or a signal ended the run in its first two iterations it is a
warning, and of several alike, of which just one was used by then, a note: their turn may have been
to come.

## References
- torch.nn.parallel.DistributedDataParallel, `find_unused_parameters`
"""

_HELP = (
    "Use it in the forward pass, or remove it; to keep it for later, freeze it with "
    "requires_grad_(False)."
)
_HELP_AS_NUMBER = (
    "If the loss is computed from that number, compute it with torch operations all the way "
    "(torch.exp for math.exp); if not, use the parameter in the forward pass, or remove it."
)

_MADE_LATE = "they were made when operations were not followed any more"


def check(case: Case) -> Iterator[Verdict]:
    """Starving leaves that entered no operation at all, beside what was trained or refused."""
    refused = any(record.refused for record in case.ledger.backwards.values())
    if not case.backwards_done and not refused:
        return
    unused = [
        leaf
        for leaf in case.starving()
        if case.evidence(leaf).requires_grad and case.evidence(leaf).entered is None
    ]
    blind = case.recording.blind
    unseen = [leaf for leaf in unused if blind is not None or case.unseen(leaf)]
    for site, leaves in case.gathered(unseen, created_stack):
        yield _unexplained(case, site, leaves, blind or _MADE_LATE)
    for site, leaves in case.gathered(set(unused).difference(unseen), created_stack):
        count = len(leaves)
        exported = next(
            filter(None, (case.evidence(leaf).exported for leaf in sorted(leaves))), None
        )
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'was', 'were')} never used in any forward"
            f"{'' if exported is None else ', except as a number in Python'}",
            _HELP if exported is None else _HELP_AS_NUMBER,
            site,
            leaves,
            severity=case.severity_of_never(leaves),
            chain=(
                Link("made here", site),
                Link("handed to Python here, where the graph cannot follow", exported),
                Link(
                    "stepped here without a gradient",
                    next(filter(None, map(case.step_site, sorted(leaves))), None),
                ),
                *read_links(case, leaves),
            ),
            span=case.everything(),
        )


def _unexplained(case: Case, site: Site | None, leaves: frozenset[int], blind: str) -> Verdict:
    """What is known where the dataflow was not seen."""
    count = len(leaves)
    return Verdict(
        f"{several(count, 'parameter')} {does(count, 'gets', 'get')} no gradient; why was not "
        f"seen: {blind}",
        "Use it in the forward pass, or look for what cuts it off; run once without what hides "
        "the dataflow to be told the line.",
        site,
        leaves,
        severity="warning",
        chain=(Link("made here", site), *read_links(case, leaves)),
        span=case.everything(),
    )


RULE = Rule(
    "GA101",
    "unused-parameter",
    "error",
    ARRIVAL,
    "A trainable parameter never took part in any forward that was backpropagated.",
    DOCUMENTATION,
    check,
)
