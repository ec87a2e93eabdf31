"""GA401 not-in-optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.records import OptimizerRecord
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.rule import MANY, OPTIMIZER, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
A parameter receives gradients, but no optimizer ever steps it. Where a list, a dict or a plain
tensor kept it from being registered in its module, the finding points there; else at the
construction of the optimizer.

## Why it matters
Its gradient is computed in every iteration and used in none.

## Example
```python
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = [nn.Linear(8, 8) for _ in range(3)]   # a list registers nothing
```

## Instead
`nn.ModuleList`, `nn.ModuleDict`, `nn.ParameterList`, `nn.Parameter`; or give the optimizer what it
misses: `Adam([*model.parameters(), *criterion.parameters()])`. What is not to be trained should be
frozen.

## When it is fine
Parameters updated by hand, networks in eval mode, inputs that are optimised or attacked, gradients
that are read for a purpose of their own (not with all others, as for a norm that is logged), and
scripts without any optimizer are not reported.

## References
- torch.nn.ModuleList, torch.optim.Optimizer.add_param_group
"""


#: How many of the same making are no accident.
MADE_ANEW = 3


def check(case: Case) -> Iterator[Verdict]:
    """Lives that are fed, never applied, and belong to no optimizer while others do."""
    stepping = [record for record in case.ledger.optimizers.values() if record.steps]
    trained = {leaf for record in stepping for leaf in record.members}
    if not any(case.evidence(leaf).kind == "parameter" for leaf in trained):
        return  # an input is optimised; the networks only lead to it
    yield from _made_anew(case, stepping[0])
    too_early = any(built_too_early(case, record) for record in stepping)
    for site, leaves in case.grouped(
        _outside(case),
        lambda leaf: case.facts(leaf).escaped or _place(_beside(case, leaf, stepping)),
    ):
        count = len(leaves)
        optimizer = _beside(case, min(leaves), stepping)
        escaped = case.facts(min(leaves)).escaped
        later = None if escaped is not None else _made_later(case, optimizer, leaves)
        life = case.life(min(leaves))
        yield Verdict(
            f"{several(count, 'parameter')} {does(count, 'receives', 'receive')} gradients, but "
            "no optimizer has " + does(count, "it", "them"),
            "Register it: nn.ModuleList, nn.ModuleDict or nn.Parameter instead of the plain object."
            if escaped is not None
            else _help(case, optimizer, count, later=later is not None),
            site,
            leaves,
            severity="error" if escaped is not None or too_early else "warning",
            chain=tuple(
                _chain(escaped, _known_at(optimizer, count), life.deposited.main_site(), later)
            ),
            span=life.deposited.span(),
        )


def _beside(case: Case, leaf: int, stepping: list[OptimizerRecord]) -> OptimizerRecord:
    """The optimizer that is stepped when a leaf was filled; an earlier phase may have its own."""
    filled = case.life(leaf).deposited.sites
    return max(stepping, key=lambda record: sum(filled.get(site, 0) for site in record.after))


def built_too_early(case: Case, record: OptimizerRecord) -> bool:
    """Whether an optimizer was built before what is trained in the place of all that it has.

    The adapters of a model that is frozen but for them, say.
    """
    idle = not any(case.evidence(leaf).requires_grad for leaf in record.members)
    return idle and any(leaf >= record.horizon for leaf in _outside(case))


def _outside(case: Case) -> list[int]:
    return [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed
        and not case.facts(leaf).derived
        and not case.only_differentiated(leaf)
        and not case.owned(leaf)
        and not case.perhaps_updated_unseen(leaf)
        and not case.made_for_a_while(leaf)
        and _should_be_trained(case, leaf)
    ]


def _made_later(case: Case, optimizer: OptimizerRecord, leaves: frozenset[int]) -> Site | None:
    """Where they were made, if that was when the optimizer had been built."""
    if optimizer.site is None or min(leaves) < optimizer.horizon:
        return None
    sites = [case.evidence(leaf).created for leaf in leaves]
    return case.evidence(min(leaves)).created if all(sites) else None


def _help(case: Case, optimizer: OptimizerRecord, count: int, *, later: bool) -> str:
    them = does(count, "it", "them")
    if later:
        there = does(count, "it is there", "they are there")
        return f"Build the optimizer when {there}, or give {them} to it with add_param_group()."
    give = f"Give {them} to the optimizer, or freeze {them} with requires_grad_(False)."
    if all(optimizer.groups):
        return give
    return (
        f"{give} A param group of `{case.optimizer_name(optimizer)}` is empty: what parameters() "
        "returns can be gone through only once."
    )


def _place(optimizer: OptimizerRecord) -> Site:
    """Where an optimizer was built; one that was there before anybody looked is stepped."""
    return optimizer.site or max(optimizer.step_sites, key=optimizer.step_sites.__getitem__)


def _known_at(optimizer: OptimizerRecord, count: int) -> Link:
    done = "stepped" if optimizer.site is None else "built"
    them = does(count, "it", "them")
    return Link(f"the optimizer is {done} here, without {them}", _place(optimizer))


def _made_anew(case: Case, optimizer: OptimizerRecord) -> Iterator[Verdict]:
    """Parameters that a forward makes, and the next one makes again."""
    fleeting = [
        leaf
        for leaf in case.recording.leaves
        if leaf not in case.claimed
        and not case.facts(leaf).derived
        and case.facts(leaf).numel
        and not case.owned(leaf)
        and case.evidence(leaf).kind == "parameter"
        and case.facts(leaf).requires_grad
        and case.life(leaf).deposited.count == 1
        and not case.life(leaf).applied.count
        and not case.wanted_by_reader(leaf)
    ]
    for site, leaves in case.grouped(fleeting, lambda leaf: case.evidence(leaf).created):
        paths = {case.facts(leaf).path for leaf in leaves}
        if site is None or len(leaves) < MADE_ANEW * len(paths):
            continue
        yield Verdict(
            f"{several(len(paths), 'parameter')} {does(len(paths), 'is', 'are')} made anew here in "
            "every iteration: the gradients go to tensors that are thrown away",
            "Make it once, in __init__, so that the optimizer can have it.",
            site,
            subjects=tuple(sorted(paths)),
            explains=leaves,
            severity="warning",
            chain=tuple(
                _chain(
                    None,
                    _known_at(optimizer, len(paths)),
                    case.life(min(leaves)).deposited.main_site(),
                )
            ),
            span=case.everything(),
        )


def _chain(
    escaped: Site | None, optimizer: Link, fed: Site | None, later: Site | None = None
) -> Iterator[Link]:
    if escaped is not None:
        yield Link("kept here, where its module does not see it", escaped)
    yield optimizer
    if later is not None:
        yield Link("made here, when it had been built", later)
    if fed is not None:
        yield Link("gradients arrive here", fed)


def _should_be_trained(case: Case, leaf: int) -> bool:
    life, facts, evidence = case.life(leaf), case.facts(leaf), case.evidence(leaf)
    if not life.deposited or life.applied.count or not facts.requires_grad:
        return False
    if facts.evaluating and facts.escaped is None:
        return False
    lasting = life.deposited.last > life.deposited.first and facts.named
    if evidence.kind == "parameter":
        lasting = lasting or facts.alive
    return lasting and not case.wanted_by_reader(leaf)


RULE = Rule(
    "GA401",
    "not-in-optimizer",
    "error",
    OPTIMIZER,
    "It receives gradients and no optimizer ever steps it.",
    DOCUMENTATION,
    check,
    proven_after=MANY,
)
