"""GA502 zero-gradient."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradaudit.ledger.values import Values
from gradaudit.model.events import ZeroKind, ZeroMade
from gradaudit.rules.case import Case
from gradaudit.rules.cuts import spoken
from gradaudit.rules.rule import VALUES, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
Every gradient that a parameter ever got was exactly zero in every element, because an operation
between it and the loss has no slope: a rounding, a sign, a softmax over one number, a clamp whose
bounds everything is beyond, a ReLU that is never active, a factor that is always zero, two factors
that both began at zero; because it is too small a number for float16; or because a hook of a
tensor, or a backward hook of a module, returned zeros.

## Why it matters
Everything looks connected, no gradient is None, and the optimizer steps. The parameter never
changes, but for weight decay.

## Example
```python
attention = score(words).softmax(dim=-1)   # one score for each word: the last dimension has size 1
```

## Instead
Give the operation a slope: the right dimension for the softmax, a straight-through estimator for
`round` and `sign`, outputs that begin inside the bounds of a clamp, a bias or scale that lets the
ReLU be active, a factor that is computed as a float (`epoch / epochs`, not `epoch // epochs`).

## When it is fine
Zeros of the first steps (adapters of which one half begins at zero, a term whose weight is ramped
up), losses that are satisfied, rows of a table that were not looked up, gradients that cancel,
experts that were not chosen: none of them is reported.

## References
- torch.autograd: "Autograd mechanics", gradients for non-differentiable functions
"""

#: How many steps must have been looked at; a flat function is flat from the first, a ReLU that is
#: off may wake up, and a weight may be ramped up.
_SAMPLES = {"error": 3, "warning": 5}

_WHY: dict[ZeroKind, str] = {
    "flat": "is flat: its slope is zero everywhere",
    "one": "has only one number to share out, so it is always the same",
    "bounded": "was given nothing but values beyond its bounds",
    "dead": "was given nothing but values on its flat side",
    "saturated": "was given nothing but values for which it has no slope left",
    "zeros": "multiplied nothing but zeros by nothing but zeros, so neither ever changes",
    "zeroed": "multiplied it by zero, or did not select it",
    "underflow": "was cast to a type in which its gradient is too small to be told from zero",
    "hook": "is a backward hook that returned nothing but zeros",
}

_HELP: dict[ZeroKind, str] = {
    "flat": "Leave it out of the training loss, or let the gradient pass it by: "
    "x + (torch.round(x) - x).detach().",
    "one": "Look at the dimension: it has size 1 here.",
    "bounded": "Let what goes in begin inside the bounds (scale it, or change its bias), or use a "
    "bounded function with a slope, such as sigmoid.",
    "dead": "Let what goes in begin on the other side (bias, scale, learning rate), or use "
    "leaky_relu or softplus.",
    "saturated": "Scale what goes in down: normalise the inputs, use a smaller initialisation.",
    "zeros": "Let one of the two factors begin at random, the other at zero.",
    "zeroed": "If the factor or mask is meant to be zero, leave these parameters out of the "
    "optimizer; if not, look at how it is computed.",
    "underflow": "Scale the loss up (torch.amp.GradScaler), or use bfloat16 or float32.",
    "hook": "Let the hook return the gradient, changed or not, or None to leave it as it is.",
}

#: A factor of zero that somebody has written there means what it says.
_WRITTEN = re.compile(r"(?<![\w.])0(\.0*)?\s*\*|\*\s*0(\.0*)?(?![\w.])")

_ERRORS = frozenset({"flat", "one", "bounded", "zeros"})


def check(case: Case) -> Iterator[Verdict]:
    """Leaves all of whose gradients were zero, by operations that may have no slope."""
    flat = {
        leaf: made for leaf in case.recording.leaves if (made := _culprit(case, leaf)) is not None
    }
    for site, leaves in case.grouped(flat, lambda leaf: flat[leaf].site):
        made = flat[min(leaves)]
        count = len(leaves)
        values = case.ledger.samples[min(leaves)]
        text = spoken(site, made.operation)
        yield Verdict(
            f"the gradient of {several(count, 'parameter')} was exactly zero in all "
            f"{values.sampled.count} steps looked at: {text} {_WHY[made.kind]}",
            _HELP[made.kind],
            site,
            leaves,
            severity="error" if made.kind in _ERRORS or _everything(case, leaves) else "warning",
            chain=(
                Link(f"`{made.operation}` {_WHY[made.kind]}", site),
                Link("so this backward deposits zeros", made.backward),
                Link("and this step applies them", case.step_site(min(leaves))),
            ),
            span=values.zero.span(),
        )


def _everything(case: Case, leaves: frozenset[int]) -> bool:
    """Whether nothing else is in their optimizers that ever got a gradient: nothing is learned."""
    members = {
        leaf for first in leaves for each in case.optimizers_of(first) for leaf in each.members
    }
    return all(leaf in leaves or not case.life(leaf).deposited for leaf in members)


def _culprit(case: Case, leaf: int) -> ZeroMade | None:
    values = case.ledger.samples[leaf]
    made = _gravest(values)
    if made is None or leaf in case.claimed or not _always(case, leaf, values):
        return None
    severity = "error" if made.kind in _ERRORS else "warning"
    if values.sampled.count < _SAMPLES[severity]:
        return None
    if severity == "warning" and (_meant(made) or _by_turns(case, leaf, made.kind)):
        return None
    return made


def _gravest(values: Values) -> ZeroMade | None:
    """The operation to tell, if all that made zeros may be told."""
    known = values.flattened
    if any(made.site is None or made.kind not in _WHY for made in known):
        return None
    kinds = list(_WHY)
    return min(known, key=lambda made: kinds.index(made.kind), default=None)


def _always(case: Case, leaf: int, values: Values) -> bool:
    """Whether all of its gradients were zero, to the end, and it is trained at all."""
    late = case.ledger.iterations * 3 // 4 - 1
    return (
        values.zero.count == values.sampled.count
        and values.sampled.last >= late
        and case.life(leaf).deposited.last >= late
        and case.facts(leaf).requires_grad
        and any(record.steps for record in case.optimizers_of(leaf))
    )


def _meant(made: ZeroMade) -> bool:
    source = None if made.site is None else made.site.location.source
    return made.kind == "zeroed" and source is not None and bool(_WRITTEN.search(source))


def _by_turns(case: Case, leaf: int, kind: ZeroKind) -> bool:
    """Whether it is one of several alike that take turns: experts whose gate is zero.

    Where a factor is zero, one sibling that is ever used will do: all others may never be chosen.
    """
    if case.families.idle_by_turns(leaf):
        return True
    shape = case.facts(leaf).shape
    for sibling in case.families.siblings(leaf):
        values = case.ledger.samples[sibling]
        used = values.sampled.count - values.zero.count
        if case.facts(sibling).shape == shape and used and (values.zero or kind == "zeroed"):
            return True
    return False


RULE = Rule(
    "GA502",
    "zero-gradient",
    "error",
    VALUES,
    "A gradient is exactly zero in every iteration.",
    DOCUMENTATION,
    check,
)
