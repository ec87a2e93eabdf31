"""GA302 evaluation-accumulation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePath

from gradaudit.ledger.mixtures import Mixture
from gradaudit.ledger.tally import Tally
from gradaudit.model.findings import Severity
from gradaudit.rules.case import Case
from gradaudit.rules.provenance import chain, for_an_input, mixtures, now_and_then, root_of
from gradaudit.rules.rule import ACCUMULATION, SEVERAL, Rule, Verdict
from gradaudit.rules.words import several

#: What people call evaluations: their functions, files and losses.
_EVALUATION = re.compile(r"(?i)(?<![a-z])(val|valid|validat|eval|test|metric|monitor|score)")

DOCUMENTATION = """
## What it finds
A backward that ran while the model was in eval mode (validation, a saliency map, robustness under
attack) left gradients behind, and the next training step applied them together with its own: those
of a backward that came later, or that was waiting for its step already.

## Why it matters
The model is trained on its validation data, or by an attacker's loss, a little at every evaluation.

## Example
```python
model.eval()
loss = criterion(model(x_val), y_val)
loss.backward()                       # for a statistic
model.train()
loss = criterion(model(x), y)
loss.backward()                       # adds to it
optimizer.step()
```

## Instead
`torch.autograd.grad` where only the gradient of an input is wanted, `torch.no_grad()` where none
is, or `optimizer.zero_grad()` right before the training backward.

## When it is fine
Evaluations whose gradients are cleared before the next step, and models that are trained in eval
mode on purpose, are not reported. A backward in eval mode that comes behind the training backward
may be a second loss: of every step it is not reported, and now and then it is a warning where its
names speak of an evaluation, else a note. For the gradient of an input it is none.

## References
- torch.nn.Module.eval
"""


def check(case: Case) -> Iterator[Verdict]:
    """Applied together: a backward in eval mode and one in train mode."""
    for mixture, leaves in mixtures(case, "evaluation"):
        yield _verdict(
            case,
            mixture,
            leaves,
            "Clear the gradients after the evaluation, or compute what it needs with "
            "torch.autograd.grad",
            mixture,
        )
    for mixture, leaves in mixtures(case, "evaluation behind"):
        wanted = for_an_input(case, mixture)
        if wanted or now_and_then(leaves):
            verdict = _verdict(
                case,
                mixture,
                leaves,
                "Step before the evaluation, or compute what it needs with torch.autograd.grad",
                Mixture(mixture.kind, mixture.main, mixture.stray),
            )
            yield verdict if wanted else replace(verdict, severity=_severity(mixture))


def _severity(mixture: Mixture) -> Severity:
    """A second loss may come now and then as well: a lazy regularisation, say."""
    where = mixture.stray.location
    words = (where.function or "", PurePath(where.path).stem, where.source or "")
    return "warning" if any(map(_EVALUATION.search, words)) else "note"


def _verdict(
    case: Case, mixture: Mixture, leaves: dict[int, Tally], advice: str, in_order: Mixture
) -> Verdict:
    first = min(leaves)
    return Verdict(
        f"the backward of {root_of(case, mixture.stray)} in eval mode is applied to "
        f"{several(len(leaves), 'parameter')} by the next training step",
        f"{advice}: the step is meant for {root_of(case, mixture.main)}.",
        mixture.stray,
        frozenset(leaves),
        chain=chain(case, in_order, first),
        span=leaves[first].span(),
    )


RULE = Rule(
    "GA302",
    "evaluation-accumulation",
    "error",
    ACCUMULATION,
    "When applied, it holds what a backward of an evaluation left behind.",
    DOCUMENTATION,
    check,
    proven_after=SEVERAL,
)
