"""GA501 nonfinite-gradient."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.events import NonfiniteMade
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.cuts import spoken
from gradaudit.rules.rule import ONCE, VALUES, Link, Rule, Verdict
from gradaudit.rules.words import several

DOCUMENTATION = """
## What it finds
A step applied a gradient that holds NaN or Inf. The finding points at the operation whose backward
made it of finite gradients, the first to do so; where that happened after the first iterations,
which are watched closely, at the backward. A hook of a tensor, or a
backward hook of a module, counts as an operation.

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
    "pow": "A power below 1 has an infinite derivative at 0: add a small number inside it.",
    "std": "The derivative of a standard deviation of 0 is infinite: take the variance and add a "
    "small number under the root.",
}
_GENERAL = (
    "Look at what goes into this operation in that iteration: something overflows, or is where "
    "there is no derivative."
)
_FORWARD = (
    "The loss is NaN or Inf already, so the forward made it: look for what divides by 0, overflows "
    "or is where it has no value, here or ahead of this operation."
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
    return made.site or made.backward


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
        message = f"{_maker(made)} makes {subject} NaN or Inf, and {steps}"
        general = _GENERAL if made.loss_finite else _FORWARD
        help_ = _HOOKED if made.by_hook else _ADVICE.get(made.operation, general)
    return Verdict(
        message,
        help_,
        site,
        leaves,
        explains=explains,
        chain=tuple(_chain(case, min(leaves), made)),
        span=tally.span(),
    )


def _maker(made: NonfiniteMade) -> str:
    if made.by_hook:
        return f"the backward hook `{made.operation}`"
    return f"the backward of {spoken(made.site, made.operation)}"


def _chain(case: Case, leaf: int, made: NonfiniteMade | None) -> Iterator[Link]:
    if made is None:
        yield Link("a backward deposits it", case.life(leaf).deposited.main_site())
    else:
        name = f"`{made.operation}`"
        maker = (
            f"the backward hook {name}" if made.by_hook else f"the backward of {name}, run here,"
        )
        yield Link(f"{maker} makes NaN or Inf", made.site)
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
