"""GA301 cross-optimizer-accumulation."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.mixtures import Mixture
from gradaudit.ledger.tally import Tally
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.provenance import chain, mixtures, never_cleared, root_of
from gradaudit.rules.rule import ACCUMULATION, SEVERAL, Link, Rule, Verdict
from gradaudit.rules.windows import UNBOUNDED, typical_window
from gradaudit.rules.words import does, several

DOCUMENTATION = """
## What it finds
When an optimizer steps, its parameters still hold what the backward of another optimizer's loss
left behind: a generator's loss that went through the discriminator, an actor's through the critic.
Or all that has heaped up in parameters that only a later phase of the training steps (a warning).

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
What is deposited in a network and cleared before its own turn is not reported. Neither are several
backwards that belong to one step, or an optimizer that is stepped with the sum of several
iterations, always as many, beside one of every iteration.

## References
- pytorch/examples: dcgan
"""


def check(case: Case) -> Iterator[Verdict]:
    """Applied together: a backward that another optimizer had used, and this one's own."""
    for mixture, leaves in mixtures(case, "foreign"):
        first = min(leaves)
        if leaves[first].count >= 2 or case.life(first).applied.count <= 2:
            yield _left(case, mixture, leaves)
        elif _heaped(case, first, leaves[first]):
            yield _heap(case, mixture, leaves)
    in_turn: dict[Site, tuple[Mixture, dict[int, Tally]]] = {}
    for mixture, leaves in mixtures(case, "meanwhile"):
        first = min(leaves)
        if _heaped(case, first, leaves[first]):
            yield _heap(case, mixture, leaves)
        elif leaves[first].count >= 2 and _by_turns(case, mixture):
            in_turn.setdefault(mixture.stray, (mixture, {}))[1].update(leaves)
    for mixture, leaves in in_turn.values():
        yield _left_in_turn(case, mixture, leaves)


def _left(case: Case, mixture: Mixture, leaves: dict[int, Tally]) -> Verdict:
    first = min(leaves)
    name, step = _other(case, mixture)
    count = len(leaves)
    main = root_of(case, mixture.main)
    clear = f"Clear these gradients between the step of `{name}` and the backward of {main}"
    return Verdict(
        f"{_own(case, first)} applies to {several(count, 'parameter')} what the backward of "
        f"{root_of(case, mixture.stray)} for `{name}` left in "
        f"{does(count, 'its gradient', 'their gradients')}",
        f"{clear}: nothing does that after they are applied, either."
        if never_cleared(case, first)
        else f"{clear}, or detach what the stray backward should not reach.",
        mixture.stray,
        frozenset(leaves),
        chain=chain(case, mixture, first, (Link(f"`{name}` steps here", step),)),
        span=leaves[first].span(),
    )


def _left_in_turn(case: Case, mixture: Mixture, leaves: dict[int, Tally]) -> Verdict:
    first = min(leaves)
    name, step = _other(case, mixture)
    count = len(leaves)
    return Verdict(
        f"{several(count, 'parameter')} {does(count, 'is', 'are')} updated with what the backward "
        f"of {root_of(case, mixture.stray)} for another optimizer left in "
        f"{does(count, 'its gradient', 'their gradients')}",
        "Clear the gradients of the optimizer whose turn it is right before this backward, not "
        "behind its step.",
        mixture.stray,
        frozenset(leaves),
        chain=chain(case, mixture, first, (Link(f"`{name}` steps here", step),)),
        span=leaves[first].span(),
    )


def _heap(case: Case, mixture: Mixture, leaves: dict[int, Tally]) -> Verdict:
    first = min(leaves)
    name, step = _other(case, mixture)
    count = len(leaves)
    more = _applied_at(case, first, leaves[first].last) - typical_window(case, first)
    return Verdict(
        f"{_own(case, first)} applies to {several(count, 'parameter')} at once what "
        f"{several(more, 'backward')} left in {does(count, 'its gradient', 'their gradients')} "
        f"while `{name}` was stepped without {does(count, 'it', 'them')}",
        "Clear these gradients before the first of them is to be applied, or freeze the parameters "
        "until then: requires_grad_(False).",
        mixture.stray,
        frozenset(leaves),
        severity="warning",
        chain=(
            Link("every backward adds to the gradients here", mixture.stray),
            Link(f"`{name}` steps here, without them", step),
            Link(
                "the sum is applied here",
                case.life(first).updated.main_site() or case.step_site(first),
            ),
        ),
        span=leaves[first].span(),
    )


def _by_turns(case: Case, mixture: Mixture) -> bool:
    """Whether each backward of one place is for one of several optimizers, in turn.

    A function that backpropagates a loss and steps the optimizer that it is given, say. Where one
    of them is stepped behind every backward, the others only go at a slower pace.
    """
    records = case.ledger.optimizers.values()
    behind = [record.after.get(mixture.stray, 0) for record in records]
    several_have = sum(count > 0 for count in behind) > 1
    alone = mixture.stray is mixture.main
    return alone and several_have and sum(behind) <= case.ledger.backwards[mixture.stray].count


def _heaped(case: Case, leaf: int, tally: Tally) -> bool:
    """Whether what was applied is many times what usually is: no window of its own length."""
    window = typical_window(case, leaf)
    return _applied_at(case, leaf, tally.last) >= UNBOUNDED + window


def _applied_at(case: Case, leaf: int, iteration: int) -> int:
    """How many contributions were applied in an iteration."""
    runs = (run for run in case.life(leaf).timeline if run.first <= iteration <= run.last)
    return next((run.contributions for run in runs), 0)


def _own(case: Case, leaf: int) -> str:
    owners = case.optimizers_of(leaf)
    return f"`{case.optimizer_name(owners[0])}`" if owners else "the update"


def _other(case: Case, mixture: Mixture) -> tuple[str, Site | None]:
    """What the other optimizer is called, and where it steps."""
    record = case.ledger.optimizers[mixture.optimizer or 0]
    sites = record.step_sites
    return case.optimizer_name(record), max(sites, key=sites.__getitem__) if sites else None


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
