"""What a rule is made of: its code, its name, its documentation, its check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from gradaudit.model.findings import Finding, Related, Severity, Span
from gradaudit.model.sites import Location, Site

if TYPE_CHECKING:
    from gradaudit.rules.case import Case
    from gradaudit.rules.ranks import Ranks

_Verdict = TypeVar("_Verdict")
_Judged = TypeVar("_Judged")


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
class Discord:
    """What a check of several ranks says: it has only their reports, and so names and locations.

    ``explains`` are findings of single ranks that follow from it.
    """

    message: str
    help: str
    parameters: tuple[str, ...]
    ranks: tuple[int, ...]
    location: Location | None = None
    severity: Severity | None = None
    chain: tuple[Related, ...] = ()
    span: Span | None = None
    explains: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Rule(Generic[_Judged, _Verdict]):
    """A rule; ``severity`` is its usual one, a verdict may be milder.

    Most judge the recording of one process; those of the family of ranks, several reports.

    ``proven_after`` is in how many iterations a verdict must have been seen for later events not to
    take it back; None where they always could, and only the end of the run proves it.
    """

    code: str
    name: str
    severity: Severity
    family: str
    summary: str
    documentation: str
    check: Callable[[_Judged], Iterable[_Verdict]]
    proven_after: int | None = None


RecordingRule: TypeAlias = "Rule[Case, Verdict]"
RankRule: TypeAlias = "Rule[Ranks, Discord]"
AnyRule: TypeAlias = Rule[Any, Any]


ARRIVAL = "the gradient never arrives"
CLEARING = "clearing"
ACCUMULATION = "accumulation"
OPTIMIZER = "optimizer"
VALUES = "values"
RANKS = "ranks"
