"""GA402 stale-optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.findings import Span
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case, created_stack
from gradaudit.rules.rule import MANY, OPTIMIZER, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
An optimizer holds a parameter that the model no longer uses: after the optimizer was built the
model was given another one in its place, and that one no optimizer has. Or it was given the
parameters of a copy, and the original is trained.

## Why it matters
The optimizer steps over tensors that nothing computes with. The new ones receive gradients and
never change.

## Example
```python
model = resnet(num_classes=1000)
optimizer = torch.optim.Adam(model.parameters())
model.fc = nn.Linear(512, 3)          # the optimizer still has the old one
```

## Instead
Change the model first and build the optimizer last: replacing a head, wrapping or quantising a
layer, `copy.deepcopy`, new `nn.Parameter` objects all make new tensors. Afterwards,
`optimizer.add_param_group({"params": model.fc.parameters()})` tells it of the new ones.
To give a parameter new values keep the object: `nn.init.normal_(layer.weight)`.

## When it is fine
A replaced parameter whose heir some optimizer has, and copies that nobody trains, are not reported.

## References
- torch.optim: "If you need to move a model to GPU via .cuda(), please do so before constructing
  optimizers for it."
"""


def check(case: Case) -> Iterator[Verdict]:
    """Members of an optimizer whose heirs are fed in their place, and are in none."""
    heirs = {
        leaf: found
        for record in case.ledger.optimizers.values()
        if record.steps
        for leaf in record.members
        if leaf in case.recording.leaves and (found := case.heirs(leaf))
    }
    copied = {leaf for leaf, found in heirs.items() if case.evidence(leaf).copy_of in found}
    yield from _given_copies(case, copied, heirs)
    for site, leaves in _gathered(case, {leaf: heirs[leaf] for leaf in heirs.keys() - copied}):
        count = len(leaves)
        first = min(leaves)
        record = case.optimizers_of(first)[0]
        inherited = frozenset(heir for leaf in leaves for heir in heirs[leaf])
        yield Verdict(
            f"`{case.optimizer_name(record)}` still holds {several(count, 'parameter')} that "
            f"the model no longer uses: {does(count, 'it was', 'they were')} replaced here, when "
            "the optimizer had been built",
            "Build the optimizer after the model is complete, or give it the new parameters with "
            "add_param_group().",
            site,
            subjects=tuple(sorted({case.facts(heir).path for heir in inherited})),
            explains=leaves | inherited,
            chain=(
                Link("the optimizer is built here", record.site),
                Link("replaced here", site),
                Link(
                    "the new parameters receive gradients here",
                    case.life(heirs[first][0]).deposited.main_site(),
                ),
                Link("the old ones are stepped here", case.step_site(first)),
            ),
            span=_since(case, heirs[first]),
        )


def _since(case: Case, heirs: tuple[int, ...]) -> Span:
    """From when on what has taken a place was trained, to the end."""
    first, last = min(case.life(heir).deposited.first for heir in heirs), case.everything().last
    return Span(first, last, last - first + 1)


def _given_copies(
    case: Case, copied: set[int], heirs: dict[int, tuple[int, ...]]
) -> Iterator[Verdict]:
    """The optimizer was given copies, and their originals are trained."""
    for site, leaves in case.grouped(copied, lambda leaf: case.optimizers_of(leaf)[0].site):
        count = len(leaves)
        first = min(leaves)
        record = case.optimizers_of(first)[0]
        originals = frozenset(heir for leaf in leaves for heir in heirs[leaf])
        yield Verdict(
            f"`{case.optimizer_name(record)}` was given a copy of {several(count, 'parameter')}: "
            f"{does(count, 'its original receives', 'their originals receive')} "
            f"gradients, and no optimizer has {does(count, 'it', 'them')}",
            "Give the optimizer the parameters of the model that computes the loss.",
            site,
            subjects=tuple(sorted(case.facts(original).path for original in originals)),
            explains=leaves | originals,
            chain=(
                Link("the copy is made here", case.evidence(first).created),
                Link("the optimizer is given the copy here", site),
                Link(
                    "the originals receive gradients here",
                    case.life(heirs[first][0]).deposited.main_site(),
                ),
                Link("the copies are stepped here", case.step_site(first)),
            ),
            span=case.everything(),
        )


def _gathered(
    case: Case, heirs: dict[int, tuple[int, ...]]
) -> Iterator[tuple[Site | None, frozenset[int]]]:
    """By the line that replaced them; where none was seen, by the making of what is there now."""
    known = {
        leaf: replaced.site
        for leaf in heirs
        if (replaced := case.evidence(leaf).replaced) is not None and replaced.site is not None
    }
    yield from case.grouped(known, known.get)
    owners: dict[int, set[int]] = {}  # one name may have been that of a model in every fold
    for leaf, found in heirs.items():
        if leaf not in known:
            for heir in found:
                owners.setdefault(heir, set()).add(leaf)
    for site, members in case.gathered(owners, created_stack):
        yield site, frozenset(leaf for heir in members for leaf in owners[heir])


RULE = Rule(
    "GA402",
    "stale-optimizer",
    "error",
    OPTIMIZER,
    "Its optimizer holds a tensor that the model no longer uses.",
    DOCUMENTATION,
    check,
    proven_after=MANY,
)
