"""What a rule says: a finding, its chain of events, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gradaudit.model.sites import Location

Severity = Literal["error", "warning", "note"]

#: From the loudest to the quietest.
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True)
class Related:
    """One link of the chain of events that proves a finding."""

    message: str
    location: Location


@dataclass(frozen=True, slots=True)
class Span:
    """The iterations a finding speaks of: the first, the last, and in how many it was seen."""

    first: int
    last: int
    count: int


@dataclass(frozen=True, slots=True)
class Consequence:
    """What another rule would have said, had this finding not explained it."""

    rule: str
    message: str
    parameters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One root cause, told once.  ``location`` is the line to change, in the user's code.

    ``ranks`` are those it was found in, where the reports of several processes were merged.
    """

    rule: str
    name: str
    severity: Severity
    message: str
    help: str
    parameters: tuple[str, ...]
    location: Location | None
    related: tuple[Related, ...] = ()
    iterations: Span | None = None
    consequences: tuple[Consequence, ...] = ()
    fingerprint: str = ""
    ranks: tuple[int, ...] = ()


#: Who decided that a finding does not count: a comment on its line, a setting, or a baseline.
Decider = Literal["comment", "setting", "baseline"]


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A finding that does not count, by whose decision, and for which reason."""

    finding: Finding
    by: Decider
    reason: str
