"""GA501 nonfinite-gradient."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.events import NonfiniteMade, Spoiler
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.cuts import spoken
from gradaudit.rules.rule import ONCE, VALUES, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
A step applied a gradient that holds NaN or Inf. The finding points at the operation that made it of
finite numbers, the first to do so: in its backward, or in the forward already, though NaN may have
been masked out of the loss. If the data or a parameter held it, that is said; if a step had made
the parameter so, the finding points at the step. Where it happened after the first iterations,
which are watched closely, it points at the backward. A hook of a tensor, or a backward hook of a
module, counts as an operation.

## Why it matters
One such step turns the parameters into NaN, and with them everything that is computed from then on.
The line at fault is rarely the one where NaN is noticed, and what comes out of the operation may
have been finite: the slope of a square root at zero is infinite.

## Example
```python
distance = (a - b).square().sum(1).sqrt()   # equal inputs: the derivative at 0 is infinite
loss = distance.mean()
```

## Instead
Keep the operation away from where its derivative has no value: `(x + eps).sqrt()`, `log(x + eps)`,
`log_softmax` and `logsumexp` in place of their parts. `torch.where` behind the operation does not
help, as the gradient passes through both branches: put a harmless value in before it.

## When it is fine
Gradients that overflow and are never applied are not reported: a `GradScaler` that skips the step,
a script that looks at the norm and clears them.

## References
- PyTorch notes: Numerical accuracy, "Extremal values"
- torch.where, and the question why its gradient is NaN, in the PyTorch forum
"""

_ARC = "The derivative of acos and asin at 1 and -1 is infinite: clamp what goes in to a bit less."
_ADVICE = {
    "sqrt": "The derivative of a square root at 0 is infinite: add a small number under it.",
    "norm": "The derivative of a norm at 0 has no value: add a small number, or take squares.",
    "log": "The derivative of a logarithm at 0 is infinite: add a small number inside it, or use "
    "log_softmax or logsigmoid on the raw scores.",
    "exp": "The exponential overflows: subtract the largest value first, or use logsumexp, "
    "softplus or log_softmax.",
    "div": "Divide by something that is never 0: a torch.where behind the division is too late, "
    "the gradient passes through both branches.",
    "softmax": "A row of nothing but -inf has no softmax: leave such rows out before it, or mask "
    "with a large negative number.",
    "pow": "A power below 1 has an infinite derivative at 0, add a small number inside it; a large "
    "power overflows.",
    "acos": _ARC,
    "asin": _ARC,
    "std": "The derivative of a standard deviation of 0 is infinite: take the variance and add a "
    "small number under the root.",
}
_ADVICE_FORWARD = {
    "sqrt": "A negative number has no root: clamp what goes in to a small number above 0.",
    "log": "0 and negative numbers have no logarithm: add a small number inside it, or use "
    "log_softmax or logsigmoid on the raw scores.",
    "exp": _ADVICE["exp"],
    "div": "Divide by something that is never 0: add a small number to it.",
    "softmax": _ADVICE["softmax"],
    "log_softmax": _ADVICE["softmax"],
    "pow": "A negative number has no fractional power, 0 no negative one, and large ones overflow: "
    "clamp what goes in.",
    "std": "A single number has no standard deviation: leave such batches out (drop_last), or "
    "pass correction=0.",
    "var": "A single number has no variance: leave such batches out (drop_last=True), or pass "
    "correction=0.",
    "mean": "The mean of nothing is NaN: leave empty batches and masks out.",
}
_GENERAL = (
    "Look at what goes into this operation in that iteration: something overflows, or is where "
    "there is no derivative."
)
_FORWARD = (
    "The loss is NaN or Inf already, so the forward made it: look for what divides by 0, overflows "
    "or is where it has no value, here or ahead of this operation."
)
_FORWARD_ONLY = (
    "Look at what goes into this operation in that iteration: something is divided by 0, "
    "overflows, or is where there is no value."
)
_GIVEN = (
    "Look for NaN in the data, and for a division by 0 in what is computed from it, such as a "
    "column that is always the same."
)
_STEPPED = (
    "Its gradients were finite, so the update overflowed: lower the learning rate or clip "
    "the gradients; in float16, keep the parameters in float32, as an optimizer's eps is 0 there."
)
_UNINITIALISED = (
    "Give it a value before training: torch.empty() leaves whatever was in that memory."
)
_HOOKED = (
    "Look at what it computes from the gradients it is given: nothing should be divided by a norm "
    "that may be 0."
)
_UNSEEN = (
    "The operation was not seen, as it happened after the iterations that are watched closely: "
    "torch.autograd.set_detect_anomaly(True) names it."
)


def check(case: Case) -> Iterator[Verdict]:
    """The first step that applied NaN or Inf; all later ones are its consequence."""
    spoilt = [leaf for leaf in case.recording.leaves if case.ledger.samples[leaf].nonfinite]
    if not spoilt:
        return
    first = min(case.ledger.samples[leaf].nonfinite.first for leaf in spoilt)
    leaves = [leaf for leaf in spoilt if case.ledger.samples[leaf].nonfinite.first == first]
    culprits = {leaf: made for leaf in leaves if (made := case.ledger.samples[leaf].culprit)}
    told = [leaf for leaf in leaves if not _explained(case, leaf, culprits.get(leaf))]
    main = culprits[min(culprits)] if culprits else None
    explains = frozenset(spoilt)
    for site, members in case.grouped(
        told, lambda leaf: _site(case, leaf, culprits.get(leaf, main))
    ):
        yield _verdict(case, site, members, culprits.get(min(members), main), explains)


def _explained(case: Case, leaf: int, made: NonfiniteMade | None) -> bool:
    """Whether it diverged for a reason that another rule has told."""
    return leaf in case.claimed and (made is None or not made.loss_finite)


def _site(case: Case, leaf: int, made: NonfiniteMade | None) -> Site | None:
    if made is None:
        return case.life(leaf).deposited.main_site()
    if _stepped(case, leaf, made):
        return case.step_site(leaf)
    return made.site or made.backward


def _stepped(case: Case, leaf: int, made: NonfiniteMade) -> bool:
    """Whether updates had applied finite gradients to the leaf that held NaN or Inf itself."""
    if made.leaf is None:
        return False
    return 0 <= case.life(made.leaf).applied.first < case.ledger.samples[leaf].nonfinite.first


def _verdict(
    case: Case,
    site: Site | None,
    leaves: frozenset[int],
    made: NonfiniteMade | None,
    explains: frozenset[int],
) -> Verdict:
    tally = case.ledger.samples[min(leaves)].nonfinite
    count = len(leaves)
    steps = (
        f"steps have applied it since iteration {tally.first}"
        if tally.count > 1
        else f"a step applied it in iteration {tally.first}"
    )
    subject = f"the gradient of {several(count, 'parameter')}"
    if made is None:
        message = f"{subject} was found to hold NaN or Inf, and {steps} or shortly before"
        help_ = _UNSEEN
    else:
        stepped = _stepped(case, min(leaves), made)
        message = f"{_story(case, made, subject, stepped=stepped)}, and {steps}"
        help_ = _help(made, stepped=stepped)
    return Verdict(
        message,
        help_,
        site,
        leaves,
        explains=explains,
        chain=tuple(_chain(case, min(leaves), made)),
        span=tally.span(),
    )


#: What became NaN or Inf by what, and the first link of the chain.
_STORIES: dict[Spoiler, tuple[str, str]] = {
    "backward": (
        "the backward of {operation} makes {subject} NaN or Inf",
        "the backward of {name}, run here, makes NaN or Inf",
    ),
    "forward": (
        "{operation} makes NaN or Inf, and so {subject} holds it",
        "{name} makes NaN or Inf",
    ),
    "value": (
        "{operation} holds NaN or Inf before it meets any parameter, and so does {subject}",
        "{name} holds NaN or Inf",
    ),
    "input": (
        "{operation} is given NaN or Inf by data or a buffer, and so {subject} holds it",
        "{name} is given NaN or Inf",
    ),
    "leaf": (
        "{leaf} itself {origin}, and so {subject} holds it",
        "{name} is given NaN or Inf",
    ),
    "hook": (
        "the backward hook {name} makes {subject} NaN or Inf",
        "the backward hook {name} makes NaN or Inf",
    ),
}


def _story(case: Case, made: NonfiniteMade, subject: str, *, stepped: bool) -> str:
    return _STORIES[made.by][0].format(
        operation=spoken(made.site, made.operation),
        name=f"`{made.operation}`",
        subject=subject,
        leaf="" if made.leaf is None else f"`{case.name(made.leaf)}`",
        origin="was made NaN or Inf by a step" if stepped else "is, before any step, NaN or Inf",
    )


def _help(made: NonfiniteMade, *, stepped: bool) -> str:
    if made.by == "hook":
        return _HOOKED
    if made.by == "forward":
        return _ADVICE_FORWARD.get(made.operation.rstrip("_"), _FORWARD_ONLY)
    if made.by in ("value", "input"):
        return _GIVEN
    if made.by == "leaf":
        return _STEPPED if stepped else _UNINITIALISED
    return _ADVICE.get(made.operation, _GENERAL if made.loss_finite else _FORWARD)


def _chain(case: Case, leaf: int, made: NonfiniteMade | None) -> Iterator[Link]:
    if made is None:
        yield Link("a backward deposits it", case.life(leaf).deposited.main_site())
    else:
        yield Link(_STORIES[made.by][1].format(name=f"`{made.operation}`"), made.site)
        yield Link(
            "in this backward"
            if made.loss_finite
            else "in this backward, of a loss that is NaN or Inf itself",
            made.backward,
        )
    yield Link("it is applied here", case.step_site(leaf))


RULE = Rule(
    "GA501",
    "nonfinite-gradient",
    "error",
    VALUES,
    "A gradient with NaN or Inf was applied.",
    DOCUMENTATION,
    check,
    proven_after=ONCE,
)
