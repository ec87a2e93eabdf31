"""GA107 requires-grad-missing."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.reads import finds_nothing
from gradaudit.rules.rule import ARRIVAL, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
The `.grad` of a tensor was read, or the tensor was given to an optimizer, but it never required
grad. The finding points at its creation.

## Why it matters
Tensors do not require grad unless told to. Nothing records what happens to it, and `.grad` stays
None for ever.

## Example
```python
w = torch.zeros(3)
optimizer = torch.optim.SGD([w], lr=0.1)    # steps over w in silence
```

## Instead
`torch.zeros(3, requires_grad=True)`, or `w.requires_grad_()`; in a module, `nn.Parameter`.

## When it is fine
Buffers and data need no gradient, as long as nobody reads one by name. `if x.grad is not None:` is
a warning where it never finds one, of whatever tensor.

## References
- torch.Tensor.requires_grad
"""


def check(case: Case) -> Iterator[Verdict]:
    """Plain tensors without requires_grad of which a gradient was expected."""
    missing = [
        leaf
        for leaf, evidence in case.ledger.evidence.items()
        if evidence.kind == "tensor"
        and not evidence.requires_grad
        and leaf not in case.claimed
        and leaf in case.recording.leaves
        and case.never_fed(leaf)
        and (_expected(case, leaf) or _asked_in_vain(case, leaf))
    ]
    for site, leaves in case.grouped(missing, lambda leaf: _where(case, leaf)):
        anew = {case.facts(leaf).path: leaf for leaf in sorted(leaves, reverse=True)}
        count = len(anew)
        once = frozenset(anew.values())
        yield Verdict(
            f"{several(count, 'tensor')} {does(count, 'does', 'do')} not require grad, so no "
            "gradient is ever computed",
            "Create it with requires_grad=True, or call requires_grad_() before it is used.",
            site,
            once if once == leaves else frozenset(),
            severity=None if any(_expected(case, leaf) for leaf in leaves) else "warning",
            explains=leaves,
            subjects=() if once == leaves else tuple(sorted(anew)),  # made in every iteration
            chain=tuple(_chain(case, once)),
            span=case.everything(),
        )
    if not missing and not any(
        case.evidence(leaf).kind == "parameter" for leaf in case.ledger.evidence
    ):
        yield from _nothing_requires_grad(case)


def _expected(case: Case, leaf: int) -> bool:
    """Whether an optimizer has it, or its gradient is read by name."""
    reads = case.evidence(leaf).none_reads
    return bool(case.optimizers_of(leaf)) or any(not read.bulk for read in reads)


def _asked_in_vain(case: Case, leaf: int) -> bool:
    """Whether it is asked if there is a gradient, where there never is one of anything."""
    return any(finds_nothing(case, read) for read in case.evidence(leaf).asked)


def _nothing_requires_grad(case: Case) -> Iterator[Verdict]:
    """Backwards of what was made from plain tensors only; torch refuses them."""
    if any(evidence.requires_grad for evidence in case.ledger.evidence.values()):
        return
    for record in case.ledger.backwards.values():
        if record.refused:
            root = record.root or "the root"
            yield Verdict(
                f"`{root}` is backpropagated, but nothing that it was made from requires grad",
                "Create the tensors that are to be trained with requires_grad=True, or as "
                "nn.Parameter.",
                record.made or record.site,
                subjects=(root,),
                chain=(Link("made here", record.made), Link("backpropagated here", record.site)),
                span=case.everything(),
            )


def _where(case: Case, leaf: int) -> Site | None:
    evidence = case.evidence(leaf)
    if evidence.created is not None:
        return evidence.created
    for read in (*evidence.none_reads, *evidence.asked):
        return read.site
    for record in case.optimizers_of(leaf):
        return record.site
    return None


def _chain(case: Case, leaves: frozenset[int]) -> Iterator[Link]:
    for leaf in sorted(leaves)[:3]:
        evidence = case.evidence(leaf)
        if evidence.created is not None:
            yield Link(f"`{case.name(leaf)}` is created here", evidence.created)
        for read in (*evidence.none_reads, *evidence.asked)[:1]:
            yield Link(f"`{read.subject}.grad` is read here: None", read.site)
        for record in case.optimizers_of(leaf)[:1]:
            if record.site is not None:
                yield Link("given to an optimizer here", record.site)


RULE = Rule(
    "GA107",
    "requires-grad-missing",
    "error",
    ARRIVAL,
    "A gradient was asked of a tensor that never required grad.",
    DOCUMENTATION,
    check,
)
