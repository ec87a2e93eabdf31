"""What contributions that are applied together have to do with each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from gradaudit.ledger.records import OptimizerRecord
from gradaudit.ledger.stock import Entry
from gradaudit.model.sites import Site

#: Why two contributions that were applied together may not belong together.
MixtureKind = Literal[
    "foreign",  # another optimizer stepped in between, with what the stray backward gave it
    "meanwhile",  # the same, where both are of one place
    "evaluation",  # the stray backward ran in eval mode, the other did not
    "evaluation behind",  # the same, and the stray one came last
    "again",  # both backwards were of the same root
    "read",  # the user's code looked at the gradient in between
    "beside",  # none of these
]


@dataclass(frozen=True, slots=True)
class Mixture:
    """Contributions of two backwards that were applied together."""

    kind: MixtureKind
    stray: Site
    main: Site
    optimizer: int | None = None


def mixtures(
    stock: Sequence[Entry],
    members: Set[int],
    number: int | None,
    optimizers: Mapping[int, OptimizerRecord],
) -> Iterator[Mixture]:
    """What the contributions before the last one have to do with it.

    ``stock`` is what some ``members`` hold when the optimizer of that number applies it, or an
    update by hand.
    """
    *earlier, main = stock
    for entry in stock:
        other = _stepped_within(entry, members, number, optimizers) if entry.count > 1 else None
        if other is not None:
            yield Mixture("meanwhile", entry.site, main.site, other)
    for entry in earlier:
        if entry.site is main.site and main.again is None:
            if entry.evaluating and not main.evaluating:  # one loop for both
                yield Mixture("evaluation", entry.site, main.site)
            continue
        if main.again is not None:
            yield Mixture("again", main.site, entry.site)
            continue
        foreign = _stepped_between(entry, main, members, number, optimizers)
        if foreign is not None:
            yield Mixture("foreign", entry.site, main.site, foreign)
        elif entry.evaluating and not main.evaluating:
            yield Mixture("evaluation", entry.site, main.site)
        elif main.evaluating and not entry.evaluating:
            yield Mixture("evaluation behind", main.site, entry.site)
        elif entry.read:
            yield Mixture("read", entry.site, main.site)
        else:
            yield Mixture("beside", entry.site, main.site)


def _stepped_between(
    entry: Entry,
    main: Entry,
    members: Set[int],
    number: int | None,
    optimizers: Mapping[int, OptimizerRecord],
) -> int | None:
    """The other optimizer that stepped between two backwards, using the first of them."""
    for other, record in optimizers.items():
        if (
            other != number
            and entry.last <= record.last_step < main.first
            and entry.site in record.sources
            and not members & record.members
        ):
            return other
    return None


def _stepped_within(
    entry: Entry,
    members: Set[int],
    number: int | None,
    optimizers: Mapping[int, OptimizerRecord],
) -> int | None:
    """The optimizer that stepped while backwards of one place went on, with some of these.

    It may be the one that steps now, if it did not have these leaves then.
    """
    for other, record in optimizers.items():
        if (
            entry.first <= record.last_step < entry.last
            and entry.site in record.sources
            and (other == number or not members & record.members)
        ):
            return other
    return None
