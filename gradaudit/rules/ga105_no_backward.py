"""GA105 no-backward."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from gradaudit.ledger.life import Life
from gradaudit.ledger.records import OptimizerRecord
from gradaudit.model.events import NoneRead
from gradaudit.model.findings import Span
from gradaudit.model.sites import Site
from gradaudit.rules.case import FOR_GOOD, Case
from gradaudit.rules.reads import read_links, reason
from gradaudit.rules.rule import ARRIVAL, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
An optimizer steps, or `.grad` is read, but no backward ever ran for the parameter, or grad mode was
switched off for good; or the backward of another loss did, whose gradients are cleared, and the
loss that is computed between the clearing and the step is never backpropagated. As a note: a
`.grad` that is read by name before the backward or behind the clearing.

## Why it matters
`optimizer.step()` skips parameters without a gradient and says nothing: the loop runs, and nothing
is learned.

## Example
```python
optimizer.zero_grad()
loss = criterion(model(x), y)
optimizer.step()                  # loss.backward() is missing
```

## Instead
Call `loss.backward()` between the loss and the step.

## When it is fine
`torch.autograd.grad` returns gradients instead of filling `.grad`; where they are assigned or used
by hand nothing is reported.

## References
- torch.Tensor.backward
"""

_SWITCH_ON = (
    "Switch gradients on again before training: use `with torch.no_grad():` around what needs none."
)


def check(case: Case) -> Iterator[Verdict]:
    """Starving leaves for which no backward was called, and reads that came too early or late."""
    yield from _starving(case)
    yield from _forgotten(case)
    yield from _switched_off_since(case)
    yield from _read_in_vain(case)


def _starving(case: Case) -> Iterator[Verdict]:
    starving = [leaf for leaf in case.starving() if case.evidence(leaf).requires_grad]
    switched = _switched_off(case)
    if switched is not None and not case.backwards_done:
        yield from _verdicts(
            case,
            starving,
            lambda _: switched,
            "gradients are switched off here, and still are when it is trained",
            _SWITCH_ON,
        )
        return
    unfed = [
        record
        for record in case.ledger.optimizers.values()
        if all(map(case.never_fed, record.members))
    ]
    lacking = [leaf for leaf in starving if _lacks_backward(case, leaf, unfed)]
    replaced = _replaced_by_autograd_grad(case)
    if replaced is not None and not case.backwards_done:
        yield from _verdicts(
            case,
            lacking,
            lambda _: replaced,
            "torch.autograd.grad returns the gradients and leaves .grad as it is",
            "Call backward() instead, or assign what it returns to .grad before the step.",
        )
        return
    yield from _verdicts(
        case,
        lacking,
        lambda leaf: _where(case, leaf),
        "the loss was never backpropagated",
        "Call backward() on the loss before the gradient is used.",
    )


def _verdicts(
    case: Case, leaves: list[int], where: Callable[[int], Site | None], reason: str, help_: str
) -> Iterator[Verdict]:
    for site, members in case.grouped(leaves, where):
        count = len(members)
        first = min(members)
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'has', 'have')} no gradient: {reason}",
            help_,
            site,
            members,
            chain=(
                Link("the loss is computed here", _site_of_loss(case, first)),
                Link("stepped here without a gradient", case.step_site(first)),
                *read_links(case, members),
            ),
            span=case.everything(),
        )


def _forgotten(case: Case) -> Iterator[Verdict]:
    """What another loss has left is cleared; then its own loss is computed, and the step comes."""
    forgotten = {
        leaf: left.site
        for leaf in case.recording.leaves
        if leaf not in case.claimed
        and case.life(leaf).deposited
        and not case.life(leaf).applied
        and (left := case.loss_left(leaf)) is not None
        and _between_clearing_and_step(case, leaf, left.site)
    }
    for site, leaves in case.grouped(forgotten, forgotten.__getitem__):
        count, life = len(leaves), case.life(min(leaves))
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'has', 'have')} no gradient when "
            f"{does(count, 'it is', 'they are')} stepped: the loss was never backpropagated",
            "Call backward() on the loss before the step.",
            site,
            leaves,
            chain=(
                Link("what another loss has left is cleared here", life.cleared.main_site()),
                Link("their own loss is computed here", site),
                Link("stepped here without a gradient", case.step_site(min(leaves))),
            ),
            span=case.everything(),
        )


def _between_clearing_and_step(case: Case, leaf: int, loss: Site) -> bool:
    """Whether a step that a clearing has starved comes behind a loss that comes behind it."""
    step = case.step_site(leaf)
    tally = case.life(leaf).starved.get((False, True))
    clearing = None if tally is None else tally.main_site()
    if clearing is None or step is None:
        return False
    places = [site.location for site in (clearing, loss, step)]
    lines = [place.line for place in places]
    return len({(place.path, place.function) for place in places}) == 1 and lines == sorted(lines)


def _read_in_vain(case: Case) -> Iterator[Verdict]:
    """Gradients that are healthy, and were read at a moment at which there was none."""
    reads: dict[tuple[Site, str], set[int]] = {}
    told: dict[tuple[Site, str], NoneRead] = {}
    for leaf in case.recording.leaves:
        if leaf in case.claimed or case.never_fed(leaf):
            continue
        for read in case.evidence(leaf).none_reads:
            if not read.bulk:
                told.setdefault((read.site, read.subject), read)
                reads.setdefault((read.site, read.subject), set()).add(leaf)
    for key, leaves in reads.items():
        read = told[key]
        life = case.life(min(leaves))
        yield Verdict(
            f"`{read.subject}.grad` is None when it is read here: {reason(read)}",
            "Read it between the backward and the clearing.",
            read.site,
            subjects=tuple(sorted(map(case.name, leaves))),
            severity="note",
            chain=(
                Link("filled here", life.deposited.main_site()),
                Link("cleared here", life.cleared.main_site()),
            ),
        )


def _switched_off(case: Case) -> Site | None:
    for record in case.ledger.backwards.values():
        if record.grad_mode_off is not None and record.failed == record.count:
            return record.grad_mode_off
    if any(record.count - record.failed for record in case.ledger.backwards.values()):
        return None
    stepping = [record for record in case.ledger.optimizers.values() if record.steps]
    if stepping and all(record.off.count == record.steps for record in stepping):
        return stepping[0].off.main_site()
    return None


def _switched_off_since(case: Case) -> Iterator[Verdict]:
    """What was trained until grad mode was switched off for good, by an evaluation say."""
    for record in case.ledger.optimizers.values():
        leaves = frozenset(
            leaf
            for leaf in record.members
            if leaf in case.recording.leaves
            and leaf not in case.claimed
            and _off_since(record, case.life(leaf))
        )
        if leaves:
            life = case.life(min(leaves))
            count = len(leaves)
            yield Verdict(
                f"{several(count, 'parameter')} {does(count, 'has', 'have')} no gradient any more: "
                "gradients are switched off here, and still are when it is trained on",
                _SWITCH_ON,
                record.off.main_site(),
                leaves,
                chain=(
                    Link("last filled here", life.deposited.main_site()),
                    Link("stepped here without a gradient", case.step_site(min(leaves))),
                ),
                span=Span(life.deposited.last + 1, case.everything().last, life.hungry),
            )


def _off_since(record: OptimizerRecord, life: Life) -> bool:
    return (
        bool(life.deposited)
        and life.hungry >= FOR_GOOD
        and record.off.count >= life.hungry
        and record.off.first >= life.deposited.last
    )


def _replaced_by_autograd_grad(case: Case) -> Site | None:
    for kind, site in case.ledger.counts:
        if kind == "autograd.grad":
            return site
    return None


def _site_of_loss(case: Case, leaf: int) -> Site | None:
    left = case.evidence(leaf).loss_left
    return None if left is None else left.site


def _lacks_backward(case: Case, leaf: int, unfed: Container[OptimizerRecord]) -> bool:
    """Whether its loss, not only its path to the loss, is what is missing.

    Then the optimizers that have it are ``unfed``: they have nothing that ever had a gradient.
    """
    evidence = case.evidence(leaf)
    if not case.backwards_done:
        failed = any(record.failed for record in case.ledger.backwards.values())
        return not failed and not evidence.severed and not _came_before(case, leaf)
    if evidence.loss_left is None or (evidence.severed and case.loss_left(leaf) is None):
        return False
    owners = case.optimizers_of(leaf)
    if not owners:
        return not evidence.severed
    return all(record in unfed for record in owners)


def _came_before(case: Case, leaf: int) -> bool:
    """Whether the backward may have come before the block that was seen, or may come behind it."""
    if case.whole:
        return False
    owners = [record for record in case.optimizers_of(leaf) if record.steps]
    members = [member for record in owners for member in record.members]
    if any(case.evidence(member).fed_before for member in members):
        return True
    return not owners and case.evidence(leaf).loss_left is None


def _where(case: Case, leaf: int) -> Site | None:
    evidence = case.evidence(leaf)
    if evidence.loss_left is not None:
        return evidence.loss_left.site
    step = case.step_site(leaf)
    if step is not None:
        return step
    return evidence.none_reads[0].site if evidence.none_reads else evidence.created


RULE = Rule(
    "GA105",
    "no-backward",
    "error",
    ARRIVAL,
    "An optimizer steps, or .grad is read, but no backward ever ran for it.",
    DOCUMENTATION,
    check,
)
