"""GA106 non-leaf."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gradaudit.model.events import NoneRead
from gradaudit.rules.case import Case
from gradaudit.rules.cuts import expression
from gradaudit.rules.reads import finds_nothing
from gradaudit.rules.rule import ARRIVAL, ONCE, Link, Rule, Verdict
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
After `retain_grad()` the gradient is there, and nothing is reported. Neither is a result that a
loop over tensors comes upon, if it finds the gradients of others on the same line and does not
update them by hand; where it never finds one, it is a warning if the script trains something else.

## References
- torch.Tensor.is_leaf, torch.Tensor.retain_grad
"""


#: An update by hand that makes a new tensor: ``w - lr * w.grad``.
_UPDATED = re.compile(r"\.grad\b")


def check(case: Case) -> Iterator[Verdict]:
    """Reads of tensors that are no leaves, one finding for one place where they became results."""
    groups: dict[object, list[NoneRead]] = {}
    for read in case.ledger.evidence.non_leaf_reads:
        if not read.bulk or _others_are_updated(case, read) or finds_nothing(case, read):
            where = (read.origin or read.site).location
            groups.setdefault((where.path, where.line), []).append(read)
    for reads in groups.values():
        yield _verdict(case, reads)


def _others_are_updated(case: Case, read: NoneRead) -> bool:
    """Whether the loop that came upon it updates by hand what it finds a gradient in."""
    place = read.site.location
    return any(
        site is not None
        and (site.location.path, site.location.function) == (place.path, place.function)
        for leaf in case.recording.leaves
        for site in case.life(leaf).updated.sites
    )


def _only_looked_at(case: Case, reads: list[NoneRead]) -> bool:
    """Whether a loop came upon it, in a script that trains something else."""
    trained = any(case.life(leaf).applied for leaf in case.recording.leaves)
    return trained and all(read.bulk and not _others_are_updated(case, read) for read in reads)


def _verdict(case: Case, reads: list[NoneRead]) -> Verdict:
    first = reads[0]
    names = tuple(sorted({read.subject for read in reads}))
    told = " and ".join(f"`{name}`" for name in names)
    operation = quoted(first.operation, "an operation")
    one = len(names) == 1
    return Verdict(
        f"{told} {'is the result' if one else 'are results'} of {operation}, "
        f"not {'a leaf: its' if one else 'leaves: their'} .grad is never filled",
        _help(first),
        first.origin or first.site,
        subjects=names,
        severity="warning" if _only_looked_at(case, reads) else None,
        explains=_behind(case, reads),
        chain=(
            *((Link("it becomes a result here", first.origin),) if first.origin else ()),
            *(Link(_how(read), read.site) for read in reads[:3]),
        ),
        span=case.everything(),
    )


def _help(read: NoneRead) -> str:
    if _UPDATED.search("" if read.origin is None else expression(read.origin) or ""):
        return (
            "Update the leaf in place, under torch.no_grad(), and clear its .grad: what an "
            "expression returns is a new tensor, and no leaf."
        )
    return (
        "Make the leaf last: apply the operation first and requires_grad_() to its result; or call "
        "retain_grad() on it to see the gradient of an intermediate value."
    )


def _how(read: NoneRead) -> str:
    if read.reason == "given-to-optimizer":
        return "given to an optimizer here"
    return f"`{read.subject}.grad` is read here: None"


def _behind(case: Case, reads: list[NoneRead]) -> frozenset[int]:
    """The leaves that were to be it, as far as nothing else has them."""
    return frozenset(
        leaf
        for read in reads
        for leaf in read.behind
        if leaf in case.recording.leaves and not case.optimizers_of(leaf)
    )


RULE = Rule(
    "GA106",
    "non-leaf",
    "error",
    ARRIVAL,
    "The tensor is the result of an operation, so its .grad is never filled.",
    DOCUMENTATION,
    check,
    proven_after=ONCE,
)
