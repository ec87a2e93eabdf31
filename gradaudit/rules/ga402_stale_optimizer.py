"""GA402 stale-optimizer."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.rule import OPTIMIZER, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
An optimizer holds a parameter that the model no longer uses: after the optimizer was built the
model was given another one in its place, and that one no optimizer has.

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
        leaf: heir
        for record in case.ledger.optimizers.values()
        if record.steps
        for leaf in record.members
        if leaf in case.recording.leaves and (heir := case.heir(leaf)) is not None
    }
    for site, leaves in case.grouped(heirs, lambda leaf: _replaced_at(case, leaf, heirs[leaf])):
        count = len(leaves)
        first = min(leaves)
        record = case.optimizers_of(first)[0]
        yield Verdict(
            f"`{case.optimizer_name(record)}` still holds {several(count, 'parameter')} that "
            f"the model no longer uses: {does(count, 'it was', 'they were')} replaced here after "
            "it was built",
            "Build the optimizer after the model is complete, or give it the new parameters with "
            "add_param_group().",
            site,
            subjects=tuple(sorted(_called(case, leaf, heirs[leaf]) for leaf in leaves)),
            explains=leaves.union(heirs[leaf] for leaf in leaves),
            chain=(
                Link("the optimizer is built here", record.site),
                Link("replaced here", site),
                Link(
                    "the new parameters receive gradients here",
                    case.life(heirs[first]).deposited.main_site(),
                ),
                Link("the old ones are stepped here", case.step_site(first)),
            ),
            span=case.everything(),
        )


def _called(case: Case, leaf: int, heir: int) -> str:
    """A copy goes by the name of what it was made from; else the heir is where the leaf was."""
    copied = case.evidence(heir).copy_of == leaf and case.facts(leaf).named
    return case.facts(leaf if copied else heir).path


def _replaced_at(case: Case, leaf: int, heir: int) -> Site | None:
    replaced = case.evidence(leaf).replaced
    if replaced is not None and replaced.site is not None:
        return replaced.site
    return case.evidence(heir).created


RULE = Rule(
    "GA402",
    "stale-optimizer",
    "error",
    OPTIMIZER,
    "Its optimizer holds a tensor that the model no longer uses.",
    DOCUMENTATION,
    check,
)
