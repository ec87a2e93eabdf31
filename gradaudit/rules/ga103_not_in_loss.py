"""GA103 not-in-loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradaudit.model.sites import Site
from gradaudit.rules.case import Case, entered_stack
from gradaudit.rules.reads import read_links
from gradaudit.rules.rule import ARRIVAL, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
A parameter took part in the forward pass with its graph intact, but nothing that was made from it
reached a loss that was backpropagated.

## Why it matters
The layer is computed and paid for in every iteration, and never learns.

## Example
```python
main, auxiliary = model(x)
auxiliary_loss = criterion(auxiliary, y)
loss = criterion(main, y)            # auxiliary_loss is never added
loss.backward()
```

## Instead
Add what it produces to the loss, or do not compute it.

## When it is fine
A head that is only read for its prediction and trained elsewhere belongs to no optimizer here, and
is not reported. Where a limit or a signal ended the run in its first two iterations it is a
warning: a loss that is taken now and then may have been to come.

## References
- PyTorch notes: Autograd mechanics
"""

#: How many of the places that come to one end are shown.
_SHOWN = 3


def check(case: Case) -> Iterator[Verdict]:
    """Starving leaves that entered operations from which no way leads to a root."""
    if not case.backwards_done:
        return
    dropped = [
        leaf
        for leaf in case.starving()
        if case.evidence(leaf).requires_grad and case.evidence(leaf).entered is not None
    ]
    for uses, leaves in _by_end(case, case.gathered(dropped, entered_stack)):
        count = len(leaves)
        left = case.evidence(min(leaves)).loss_left
        end = _end(case, leaves)
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'was', 'were')} used here, but nothing "
            f"made from {does(count, 'it', 'them')} reaches a loss that is backpropagated"
            if len(uses) == 1
            else f"what {several(count, 'parameter')} produce ends here: nothing made from them "
            "reaches a loss that is backpropagated",
            "Add the result to the loss that is backpropagated, or do not compute it.",
            uses[0] if len(uses) == 1 else end,
            leaves,
            severity=case.severity_of_never(leaves),
            chain=(
                *(Link("used here", site) for site in uses[:_SHOWN]),
                Link(
                    "nothing is made of this value, which came from it"
                    if left is None
                    else f"a {_kind(case, leaves)} made from it ends here",
                    end,
                ),
                *(
                    Link("backpropagated here, without it", record.site)
                    for record in list(case.ledger.backwards.values())[:2]
                ),
                *read_links(case, leaves),
            ),
            span=case.everything(),
        )


def _by_end(
    case: Case, groups: Iterable[tuple[Site | None, frozenset[int]]]
) -> Iterator[tuple[list[Site | None], frozenset[int]]]:
    """The places where leaves were used, those of one end together: the end is what they share."""
    together: dict[object, tuple[list[Site | None], set[int]]] = {}
    for site, leaves in groups:
        uses, members = together.setdefault(_end(case, leaves) or site, ([], set()))
        uses.append(site)
        members |= leaves
    for uses, members in together.values():
        yield uses, frozenset(members)


def _kind(case: Case, leaves: Iterable[int]) -> str:
    return "number" if case.loss_left(min(leaves)) is None else "loss"


def _end(case: Case, leaves: Iterable[int]) -> Site | None:
    """Where what was made from leaves came to an end, if that was seen."""
    evidence = case.evidence(min(leaves))
    return evidence.dead_end if evidence.loss_left is None else evidence.loss_left.site


RULE = Rule(
    "GA103",
    "not-in-loss",
    "error",
    ARRIVAL,
    "Nothing that the parameter produced reached a loss that was backpropagated.",
    DOCUMENTATION,
    check,
)
