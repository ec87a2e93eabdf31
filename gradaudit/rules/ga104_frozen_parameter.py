"""GA104 frozen-parameter."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.findings import Severity, Span
from gradaudit.model.sites import Site
from gradaudit.rules.case import FOR_GOOD, Case, created_stack
from gradaudit.rules.ga401_not_in_optimizer import built_too_early
from gradaudit.rules.rule import ARRIVAL, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
A parameter has `requires_grad=False` although the script means to train it: everything its
optimizer has is frozen, or it has a param group of its own, or its gradient is read by name, or an
unfreezing was written that does nothing, or it was trained until something froze it that does so
again and again, and nothing unfreezes it.

## Why it matters
The optimizer steps, the loss is computed, and nothing moves.

## Example
```python
for p in model.parameters():
    p.requires_grad = False
model.fc.requires_grad = True     # sets an attribute of the module; its parameters stay frozen
```

## Instead
`model.fc.requires_grad_(True)`: the method with the underscore goes through the parameters.

## When it is fine
Frozen parameters among trained ones in `model.parameters()` are usual in fine-tuning and say
nothing by themselves. A frozen param group of its own is a note where a limit or a signal ended the
run: its turn may have been to come. Of an optimizer that is never stepped nothing is said.

## References
- torch.nn.Module.requires_grad_
"""

#: How often it must have been frozen while it was so already.
_REFROZEN = 2


def check(case: Case) -> Iterator[Verdict]:
    """Frozen parameters that somebody expected to be trained."""
    frozen = [
        leaf
        for leaf, evidence in case.ledger.evidence.items()
        if evidence.kind == "parameter"
        and not evidence.requires_grad
        and leaf not in case.claimed
        and leaf in case.recording.leaves
        and case.never_fed(leaf)
    ]
    for reason, severity, help_ in (
        (
            _misspelt,
            "error",
            "Call requires_grad_(True) on the module, or set requires_grad of each parameter.",
        ),
        (
            _whole_optimizer,
            "error",
            "Unfreeze what is to be trained before it is used, or give the "
            "optimizer the parameters that are.",
        ),
        (
            _everything,
            "error",
            "Unfreeze what is to be trained with requires_grad_(True).",
        ),
        (_read_by_name, "error", "Unfreeze it with requires_grad_(True) if it is to be trained."),
        (
            _own_group,
            "note" if case.cut_short else "warning",
            "Unfreeze the group, or leave it out of the optimizer until you do.",
        ),
    ):
        chosen = {leaf: why for leaf in frozen if (why := reason(case, leaf)) is not None}
        frozen = [leaf for leaf in frozen if leaf not in chosen]
        yield from _verdicts(case, chosen, severity, help_)  # type: ignore[arg-type]
    yield from _never_thawed(case)


def _never_thawed(case: Case) -> Iterator[Verdict]:
    """What is frozen anew in every iteration, was trained until then, and is stepped all the same.

    Who freezes once and for all, on a schedule, does so once.
    """
    stuck = {
        leaf: (f"`{case.optimizer_name(record)}` goes on stepping them", _frozen_at(case, leaf))
        for record in case.ledger.optimizers.values()
        if not any(case.evidence(member).requires_grad for member in record.members)
        for leaf in record.members
        if leaf in case.recording.leaves
        and leaf not in case.claimed
        and case.life(leaf).deposited
        and case.life(leaf).hungry >= FOR_GOOD
        and case.evidence(leaf).refrozen >= _REFROZEN
    }
    yield from _verdicts(
        case, stuck, "error", "Unfreeze them again with requires_grad_(True) when it is their turn."
    )


def _verdicts(
    case: Case, chosen: dict[int, tuple[str, Site | None]], severity: Severity, help_: str
) -> Iterator[Verdict]:
    for site, leaves in _gathered(case, chosen):
        count = len(leaves)
        first = min(leaves)
        evidence = case.evidence(first)
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'is', 'are')} frozen, but "
            f"{chosen[first][0]}",
            help_,
            site,
            leaves,
            severity=severity,
            chain=tuple(
                link
                for link in (
                    Link("made here", evidence.created),
                    Link("frozen here", evidence.frozen_at),
                    Link("this does not unfreeze", site) if evidence.misspelt else None,
                    Link("stepped here, without effect", case.step_site(first)),
                )
                if link is not None and link.site is not None
            ),
            span=_frozen_span(case, first),
        )


def _gathered(
    case: Case, chosen: dict[int, tuple[str, Site | None]]
) -> Iterator[tuple[Site | None, frozenset[int]]]:
    """By the line that a reason names; those it has only the making for, by the call they share.

    Where they share none, and a hundred lines made them, by the optimizer that was given them.
    """
    made = {leaf for leaf, (_, site) in chosen.items() if site is case.evidence(leaf).created}
    yield from case.grouped(chosen.keys() - made, lambda leaf: chosen[leaf][1])
    together = list(case.gathered(made, created_stack))
    if len(together) > 1 and all(map(case.optimizers_of, made)):
        yield from case.grouped(made, lambda leaf: case.optimizers_of(leaf)[0].site)
    else:
        yield from together


def _frozen_span(case: Case, leaf: int) -> Span:
    life, everything = case.life(leaf), case.everything()
    if not life.deposited:
        return everything
    return Span(life.deposited.last + 1, everything.last, life.hungry)


def _misspelt(case: Case, leaf: int) -> tuple[str, Site | None] | None:
    misspelt = case.evidence(leaf).misspelt
    if misspelt is None or not misspelt.value:
        return None
    return f"`{misspelt.text} = True` sets an attribute that nothing reads", misspelt.site


def _frozen_at(case: Case, leaf: int) -> Site | None:
    evidence = case.evidence(leaf)
    return evidence.frozen_at or evidence.created


def _whole_optimizer(case: Case, leaf: int) -> tuple[str, Site | None] | None:
    refused = any(record.refused for record in case.ledger.backwards.values())
    for record in case.optimizers_of(leaf):
        if built_too_early(case, record):
            continue  # to be frozen is what they are meant to be
        if not record.steps and not refused:
            continue  # its turn has not come: a discriminator that joins in later
        if not any(case.evidence(member).requires_grad for member in record.members):
            name = case.optimizer_name(record)
            return f"`{name}` has nothing else to train", _frozen_at(case, leaf)
    return None


def _everything(case: Case, leaf: int) -> tuple[str, Site | None] | None:
    """A backward failed, because nothing that its root was made from required grad."""
    if any(evidence.requires_grad for evidence in case.ledger.evidence.values()):
        return None
    for record in case.ledger.backwards.values():
        if record.refused:
            return f"`{record.root or 'a loss'}` is backpropagated", _frozen_at(case, leaf)
    return None


def _own_group(case: Case, leaf: int) -> tuple[str, Site | None] | None:
    for record in case.optimizers_of(leaf):
        if not case.whole and record.site is None:
            continue  # it may be unfrozen when its turn comes
        for group in record.groups:
            one_of_several = leaf in group and len(record.groups) > 1 and record.steps
            if one_of_several and not any(case.evidence(each).requires_grad for each in group):
                name = case.optimizer_name(record)
                return f"`{name}` has a param group that holds nothing else", _frozen_at(case, leaf)
    return None


def _read_by_name(case: Case, leaf: int) -> tuple[str, Site | None] | None:
    for read in case.evidence(leaf).none_reads:
        if not read.bulk:
            return f"`{read.subject}.grad` is read", _frozen_at(case, leaf) or read.site
    return None


RULE = Rule(
    "GA104",
    "frozen-parameter",
    "error",
    ARRIVAL,
    "requires_grad is False although the script means to train it.",
    DOCUMENTATION,
    check,
)
