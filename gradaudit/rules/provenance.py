"""Which backwards put what into the gradients that were applied."""

from __future__ import annotations

from collections.abc import Iterator

from gradaudit.ledger.mixtures import Mixture, MixtureKind
from gradaudit.ledger.tally import Tally
from gradaudit.model.sites import Site
from gradaudit.rules.case import Case
from gradaudit.rules.rule import Link
from gradaudit.rules.words import quoted


def mixtures(case: Case, kind: MixtureKind) -> Iterator[tuple[Mixture, dict[int, Tally]]]:
    """Every mixture of a kind, with the leaves whose trouble it explains and how often."""
    found: dict[Mixture, dict[int, Tally]] = {}
    for leaf in case.recording.leaves:
        if leaf not in case.claimed:
            for mixture, tally in case.life(leaf).mixed.items():
                if mixture.kind == kind and _accounts_for_staleness(case, leaf, mixture, tally):
                    found.setdefault(mixture, {})[leaf] = tally
    yield from found.items()


def _accounts_for_staleness(case: Case, leaf: int, mixture: Mixture, tally: Tally) -> bool:
    """Whether the updates with old gradients are those that the stray backward got into.

    Where more of them are stale without it, no clearing follows the steps: that is the cause.
    """
    stale = case.life(leaf).stale
    same = mixture.stray is mixture.main  # one line for both: it soils the others as well
    return stale.count - (0 if same else stale.sites.get(mixture.stray, 0)) <= tally.count


def for_an_input(case: Case, mixture: Mixture) -> bool:
    """Whether inputs were read after the stray backward, and not after the other."""
    backwards = case.ledger.backwards
    return bool(backwards[mixture.stray].inputs_read) and not backwards[mixture.main].inputs_read


def now_and_then(leaves: dict[int, Tally]) -> bool:
    """Whether a mixture is that of more than one update, and not of most since it began.

    What begins late and is there in every update from then on is part of the training.
    """
    tally = leaves[min(leaves)]
    return tally.count >= 2 and 2 * tally.count <= tally.last - tally.first + 1


def never_cleared(case: Case, leaf: int) -> bool:
    """Whether its updates use what was applied before as well, again and again."""
    stale = case.life(leaf).stale.count
    return stale >= 2 and 2 * stale >= case.life(leaf).applied.count


def root_of(case: Case, site: Site) -> str:
    """What the user called the root of the backwards at a site."""
    record = case.ledger.backwards.get(site)
    return quoted(None if record is None else record.root, "a loss")


def chain(
    case: Case, mixture: Mixture, leaf: int, between: tuple[Link, ...] = ()
) -> tuple[Link, ...]:
    """The stray backward, what came in between, the one that was meant, and the step."""
    life = case.life(leaf)
    return (
        Link(f"{root_of(case, mixture.stray)} is backpropagated here", mixture.stray),
        *between,
        Link(
            f"{root_of(case, mixture.main)} is backpropagated here, on top of it",
            mixture.main,
        ),
        Link("the sum is applied here", life.updated.main_site() or case.step_site(leaf)),
        Link("the gradients are cleared here, too late", life.cleared.main_site()),
    )
