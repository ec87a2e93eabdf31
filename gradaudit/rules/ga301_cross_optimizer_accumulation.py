"""GA301 cross-optimizer-accumulation."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.rules.case import Case
from gradaudit.rules.provenance import chain, mixtures, root_of
from gradaudit.rules.rule import ACCUMULATION, SEVERAL, Link, Rule, Verdict
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
When an optimizer steps, its parameters still hold what the backward of another optimizer's loss
left behind: a generator's loss that went through the discriminator, an actor's through the critic.

## Why it matters
The discriminator is pushed towards what pleases the generator. Nothing fails, the losses look like
those of any GAN that is hard to train, and no other tool sees it.

## Example
```python
g_loss = bce(netD(netG(z)), real)
g_loss.backward()                  # fills the gradients of netD as well
opt_G.step()
d_loss = bce(netD(x), real) + bce(netD(netG(z).detach()), fake)
d_loss.backward()                  # adds to them
opt_D.step()                       # applies both
```

## Instead
Clear right before the backward of each optimizer (`opt_D.zero_grad()` before `d_loss.backward()`),
or keep the other loss from reaching these parameters: `netG(z).detach()`, `requires_grad_(False)`
for the time being, or `d_loss.backward(inputs=list(netD.parameters()))`.

## When it is fine
What is deposited in a network and cleared before its own turn is not reported, and neither are
several backwards that belong to one step.

## References
- pytorch/examples: dcgan
"""


def check(case: Case) -> Iterator[Verdict]:
    """Applied together: a backward that another optimizer had used, and this one's own."""
    for mixture, leaves in mixtures(case, "foreign"):
        first = min(leaves)
        tally = leaves[first]
        if tally.count < 2 and case.life(first).applied.count > 2:
            continue
        other = case.ledger.optimizers[mixture.optimizer or 0]
        name = case.optimizer_name(other)
        owners = case.optimizers_of(first)
        own = f"`{case.optimizer_name(owners[0])}`" if owners else "the update"
        step = max(other.step_sites, key=other.step_sites.__getitem__) if other.step_sites else None
        count = len(leaves)
        yield Verdict(
            f"{own} applies to {several(count, 'parameter')} what the backward of "
            f"{root_of(case, mixture.stray)} for `{name}` left in "
            f"{does(count, 'its gradient', 'their gradients')}",
            f"Clear these gradients between the step of `{name}` and the backward of "
            f"{root_of(case, mixture.main)}, or detach what the stray backward should not reach.",
            mixture.stray,
            frozenset(leaves),
            chain=chain(case, mixture, first, (Link(f"`{name}` steps here", step),)),
            span=tally.span(),
        )


RULE = Rule(
    "GA301",
    "cross-optimizer-accumulation",
    "error",
    ACCUMULATION,
    "When applied, it holds what another optimizer's backward left behind.",
    DOCUMENTATION,
    check,
    proven_after=SEVERAL,
)
