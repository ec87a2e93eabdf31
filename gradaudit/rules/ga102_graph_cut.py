"""GA102 graph-cut."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.events import Severed
from gradaudit.model.findings import Span
from gradaudit.rules.case import Case
from gradaudit.rules.cuts import expression, help_for, place, why
from gradaudit.rules.reads import read_links
from gradaudit.rules.rule import ARRIVAL, SEVERAL, Link, Rule, Verdict
from gradaudit.rules.words import does, quoted, several

DOCUMENTATION = """
## What it finds
A parameter took part in the computation of the loss, but an operation between it and the loss left
the autograd graph. The finding points at that operation; where grad mode was switched off, at the
`with`, the decorator or the call that switched it. The loss is the one that its step is for,
whatever other losses leave in its gradient that is cleared before.

## Why it matters
The loss still falls, because the layers behind the cut learn. Those before it never change.

## Example
```python
features = self.encoder(x).detach()   # everything the encoder did is forgotten here
loss = criterion(self.head(features), y)
```

## Instead
Drop the `detach()`, `.data`, `.item()`, `.numpy()` or `torch.tensor(...)` on the way to the loss,
pass `create_graph=True` to a `torch.autograd.grad` whose result goes into it, use a parameter and
not the copy of its values in another one, and keep `torch.no_grad()` for evaluation. If the part
before the cut is meant to stay as it is, freeze it and leave it out of the optimizer: then the code
says what it does.

## When it is fine
Where another path from the parameter to the loss is alive (straight-through estimators,
stop-gradient targets, truncated backpropagation through time) nothing is reported, and neither for
frozen parameters or such as no optimizer has. Where a limit or a signal ended the run, a cut in a
branch that asks for the step or the epoch is a note: it may have been about to end.

## References
- PyTorch notes: Autograd mechanics, "Locally disabling gradient computation"
"""


def check(case: Case) -> Iterator[Verdict]:
    """Starving leaves that a backward's root was made from, but not by the graph."""
    severed = {leaf: cut for leaf in case.starving() if (cut := _telling(case, leaf)) is not None}
    severed |= {leaf: cut for leaf in case.recording.leaves if (cut := _before_step(case, leaf))}
    for _, leaves in case.grouped(severed, lambda leaf: place(severed[leaf])):
        cut = severed[min(leaves)]
        count = len(leaves)
        text = quoted(expression(cut.site), f"`{cut.operation}`")
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'gets', 'get')} no gradient: "
            f"{text} {why(cut)}",
            help_for(cut),
            place(cut),
            leaves,
            severity="note" if case.cut_short and cut.scheduled else None,
            chain=(*_chain(cut), *read_links(case, leaves)),
            span=case.everything(),
        )
    yield from _since(case)


def _since(case: Case) -> Iterator[Verdict]:
    """Leaves that were fed until an operation began to cut them off, for good."""
    late = {
        leaf: cut
        for leaf in case.recording.leaves
        if leaf not in case.claimed and (cut := case.cut_for_good(leaf))
    }
    for _, leaves in case.grouped(late, lambda leaf: place(late[leaf])):
        cut, life = late[min(leaves)], case.life(min(leaves))
        text = quoted(expression(cut.site), f"`{cut.operation}`")
        yield Verdict(
            f"{several(len(leaves), 'parameter')} {does(len(leaves), 'gets', 'get')} no gradient "
            f"any more since iteration {life.deposited.last + 1}: {text} {why(cut)}",
            help_for(cut),
            place(cut),
            leaves,
            severity="warning",
            chain=(
                Link("it was last reached by this backward", life.deposited.main_site()),
                *_chain(cut),
                *read_links(case, leaves),
            ),
            span=Span(life.deposited.last + 1, case.everything().last, life.hungry),
        )


def _before_step(case: Case, leaf: int) -> Severed | None:
    """What cuts a leaf off from the loss that its steps are for, if they never apply anything.

    What other losses left in its gradient is cleared by then, as it should be.
    """
    life = case.life(leaf)
    if leaf in case.claimed or not life.deposited or life.applied or not life.missing:
        return None
    cuts = (cut for cut in case.evidence(leaf).severed if not cut.guessed)
    return next((cut for cut in cuts if case.precedes_step(cut.backward, leaf)), None)


def _telling(case: Case, leaf: int) -> Severed | None:
    """The cut to tell: the first that is certain.

    None where the value also went, uncut, into a loss that the script left: then a stop-gradient
    beside it is meant, and the loss is what is missing.
    """
    if case.loss_left(leaf) is not None:
        return None
    cuts = [cut for cut in case.evidence(leaf).severed if _lasting(case, leaf, cut)]
    return min(
        cuts,
        key=lambda cut: (
            cut.guessed,
            not case.precedes_step(cut.backward, leaf),
            not case.ledger.backwards[cut.backward].refused,
        ),
        default=None,
    )


def _lasting(case: Case, leaf: int, cut: Severed) -> bool:
    """Whether it is certain, or was there more than once, or had no second chance."""
    if not cut.guessed:
        return True
    backward = case.ledger.backwards.get(cut.backward)
    return case.evidence(leaf).times[cut.site] > 1 or backward is None or backward.count == 1


def _chain(cut: Severed) -> Iterator[Link]:
    if cut.produced is not None:
        yield Link("the value is still in the graph here", cut.produced)
    if cut.switch is not None and cut.kind == "grad-mode":
        yield Link("gradients are switched off here", cut.switch)
        yield Link(f"so the result of `{cut.operation}` is not in the graph", cut.site)
    else:
        # what is run under a checkpoint is not what cuts
        said = expression(cut.site) if cut.kind == "checkpoint" else cut.operation
        yield Link(f"{quoted(said, 'this')} {why(cut)}", cut.site)
    yield Link("the loss that is backpropagated here does not lead back to it", cut.backward)


RULE = Rule(
    "GA102",
    "graph-cut",
    "error",
    ARRIVAL,
    "An operation between the parameter and the loss left the autograd graph.",
    DOCUMENTATION,
    check,
    proven_after=SEVERAL,
)
