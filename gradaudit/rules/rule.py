"""What a rule is made of: its code, its name, its documentation, its check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradaudit.model.findings import Severity, Span
from gradaudit.model.sites import Location, Site

if TYPE_CHECKING:
    from gradaudit.rules.case import Case


@dataclass(frozen=True, slots=True)
class Link:
    """One event of the chain that proves a verdict."""

    message: str
    site: Site | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check says, before it is put into words of the report.

    ``leaves`` are the parameters it explains: no later rule speaks of them for the same reason.
    ``explains`` are others of which the same is true: claimed, but not named.
    ``subjects`` names what is no leaf.
    """

    message: str
    help: str
    site: Site | None
    leaves: frozenset[int] = frozenset()
    explains: frozenset[int] = frozenset()
    subjects: tuple[str, ...] = ()
    severity: Severity | None = None
    chain: tuple[Link, ...] = ()
    span: Span | None = None

    @property
    def location(self) -> Location | None:
        """The line to change."""
        return None if self.site is None else self.site.location


#: How often something must have been seen for its rule to be believed before the run is over: what
#: is so by its nature, what is only ever counted up, and what later events could outweigh.
ONCE, SEVERAL, MANY = 1, 3, 12


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule; ``severity`` is its usual one, a verdict may be milder.

    ``proven_after`` is in how many iterations a verdict must have been seen for later events not to
    take it back; None where they always could, and only the end of the run proves it.
    """

    code: str
    name: str
    severity: Severity
    family: str
    summary: str
    documentation: str
    check: Callable[[Case], Iterable[Verdict]]
    proven_after: int | None = None


ARRIVAL = "the gradient never arrives"
CLEARING = "clearing"
ACCUMULATION = "accumulation"
OPTIMIZER = "optimizer"
VALUES = "values"
RANKS = "ranks"
