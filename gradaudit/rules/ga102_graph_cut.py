"""GA102 graph-cut."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.events import Severed
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.rule import ARRIVAL, Link, Rule, Verdict
from gradaudit.rules.words import does, quoted, several

DOCUMENTATION = """
## What it finds
A parameter took part in the computation of the loss, but an operation between it and the loss left
the autograd graph. The finding points at that operation; where grad mode was switched off, at the
`with`, the decorator or the call that switched it.

## Why it matters
The loss still falls, because the layers behind the cut learn. Those before it never change.

## Example
```python
features = self.encoder(x).detach()   # everything the encoder did is forgotten here
loss = criterion(self.head(features), y)
```

## Instead
Drop the `detach()`, `.data`, `.item()`, `.numpy()` or `torch.tensor(...)` on the way to the loss,
and keep `torch.no_grad()` for evaluation. If the part before the cut is meant to stay as it is,
freeze it and leave it out of the optimizer: then the code says what it does.

## When it is fine
Where another path from the parameter to the loss is alive (straight-through estimators,
stop-gradient targets, truncated backpropagation through time) nothing is reported, and neither for
frozen parameters or such as no optimizer has.

## References
- PyTorch notes: Autograd mechanics, "Locally disabling gradient computation"
"""

_WHY = {
    "detach": "takes the value out of the graph",
    "grad-mode": "ran while gradients were switched off",
    "export": "hands the value to Python, where the graph cannot follow",
    "non-differentiable": "has no derivative",
    "blocked": "passes no gradient on",
}

_HELP = {
    "detach": "Remove it on the way to the loss. If these parameters are meant to stay as they "
    "are, freeze them and leave them out of the optimizer.",
    "grad-mode": "Run this part with gradients enabled while training. If these parameters are "
    "meant to stay as they are, freeze them and leave them out of the optimizer.",
    "export": "Compute the loss with torch operations all the way from the parameters.",
    "non-differentiable": "Replace it on the way to the loss by something differentiable (a soft "
    "version, a straight-through estimator, a score-function estimator).",
    "blocked": "Return a gradient for this input from the function's backward.",
}


def check(case: Case) -> Iterator[Verdict]:
    """Starving leaves that a backward's root was made from, but not by the graph."""
    severed = [leaf for leaf in case.starving() if case.evidence(leaf).severed]
    for _, leaves in case.grouped(severed, lambda leaf: _place(case.evidence(leaf).severed[0])):
        cut = case.evidence(min(leaves)).severed[0]
        count = len(leaves)
        text = quoted(_text(cut), f"`{cut.operation}`")
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'gets', 'get')} no gradient: "
            f"{text} {_WHY[cut.kind]}",
            _HELP[cut.kind],
            _place(cut),
            leaves,
            chain=tuple(_chain(cut)),
            span=case.everything(),
        )


def _place(cut: Severed) -> Site:
    return cut.switch if cut.kind == "grad-mode" and cut.switch is not None else cut.site


def _text(cut: Severed) -> str | None:
    """The expression that cut, from its columns; None where Python does not know them."""
    where = _place(cut).location
    if where.source is None or where.column is None or where.end_column is None:
        return None
    if where.end_line not in (None, where.line):
        return None
    return where.source[where.column - 1 : where.end_column - 1]


def _chain(cut: Severed) -> Iterator[Link]:
    if cut.produced is not None:
        yield Link("the value is still in the graph here", cut.produced)
    if cut.switch is not None and cut.kind == "grad-mode":
        yield Link("gradients are switched off here", cut.switch)
        yield Link(f"so the result of `{cut.operation}` is not in the graph", cut.site)
    else:
        yield Link(f"`{cut.operation}` {_WHY[cut.kind]}", cut.site)
    yield Link("the loss that is backpropagated here does not lead back to it", cut.backward)


RULE = Rule(
    "GA102",
    "graph-cut",
    "error",
    ARRIVAL,
    "An operation between the parameter and the loss left the autograd graph.",
    DOCUMENTATION,
    check,
)
