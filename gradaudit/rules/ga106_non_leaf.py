"""GA106 non-leaf."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.events import NoneRead
from gradaudit.rules.case import Case
from gradaudit.rules.rule import ARRIVAL, Link, Rule, Verdict
from gradaudit.rules.words import quoted

DOCUMENTATION = """
## What it finds
The `.grad` of a tensor that is the result of an operation was read, or such a tensor was given to
an optimizer. Backward fills `.grad` of leaves only. The finding points at the operation that made
it a result.

## Why it matters
`.grad` stays None, whatever is backpropagated. Most often a parameter was moved, cast or scaled
after `requires_grad=True`, and the result was taken for the parameter.

## Example
```python
w = torch.randn(4, 2, requires_grad=True) * 0.01    # w is the product, not the leaf
```

## Instead
```python
w = (torch.randn(4, 2) * 0.01).requires_grad_()
```
or `torch.randn(4, 2, device="cuda", requires_grad=True)`. To look at the gradient of an
intermediate value, call `value.retain_grad()` before the backward.

## When it is fine
After `retain_grad()` the gradient is there, and nothing is reported.

## References
- torch.Tensor.is_leaf, torch.Tensor.retain_grad
"""


def check(case: Case) -> Iterator[Verdict]:
    """Reads of tensors that are no leaves, one finding for one tensor."""
    told: set[tuple[object, str]] = set()
    for read in case.ledger.non_leaf_reads:
        place = None if read.origin is None else read.origin.location
        if read.bulk or (place, read.subject) in told:
            continue
        told.add((place, read.subject))
        yield _verdict(case, read)


def _verdict(case: Case, read: NoneRead) -> Verdict:
    operation = quoted(read.operation, "an operation")
    given = read.reason == "given-to-optimizer"
    how = "given to an optimizer here" if given else f"`{read.subject}.grad` is read here: None"
    return Verdict(
        f"`{read.subject}` is the result of {operation}, not a leaf: its .grad is never filled",
        "Make the leaf last: apply the operation first and requires_grad_() to its result; or call "
        "retain_grad() on it to see the gradient of an intermediate value.",
        read.origin or read.site,
        subjects=(read.subject,),
        chain=(
            *((Link("it becomes a result here", read.origin),) if read.origin else ()),
            Link(how, read.site),
        ),
        span=case.everything(),
    )


RULE = Rule(
    "GA106",
    "non-leaf",
    "error",
    ARRIVAL,
    "The tensor is the result of an operation, so its .grad is never filled.",
    DOCUMENTATION,
    check,
)
