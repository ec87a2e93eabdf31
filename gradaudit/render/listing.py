"""The training loop, annotated: what each of its lines does to gradients, and where it breaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradaudit.model.findings import Finding
from gradaudit.model.report import Loop, Report
from gradaudit.model.sites import Location

_EFFECTS = {
    "backward": "adds to gradients",
    "autograd.grad": "returns gradients, stores none",
    "assign": "sets gradients",
    "clear": "clears gradients",
    "zero_grad": "clears gradients",
    "step": "applies gradients",
    "update": "applies gradients by hand",
    "clip": "clips gradients",
    "rescale": "changes gradients in place",
}


@dataclass(frozen=True, slots=True)
class Effect:
    """What a line did, and how often."""

    does: str
    count: int


@dataclass(frozen=True, slots=True)
class ListedLine:
    """A line of the loop; ``findings`` are those that want it changed."""

    location: Location
    effects: tuple[Effect, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A loop: its first line, and those below it that matter, in the order of the file."""

    loop: Location
    passes: int
    lines: tuple[ListedLine, ...]


def listings(report: Report) -> tuple[Listing, ...]:
    """List every loop around training."""
    return tuple(_listing(loop, report.findings) for loop in report.loops)


def _listing(loop: Loop, findings: Iterable[Finding]) -> Listing:
    effects: dict[tuple[str, int], list[Effect]] = {}
    places: dict[tuple[str, int], Location] = {}
    for event in loop.events:
        key = _key(event.location)
        places.setdefault(key, event.location)
        effects.setdefault(key, []).append(
            Effect(_EFFECTS.get(event.kind, event.kind), event.count)
        )
    last = max((line for path, line in places if path == loop.location.path), default=0)
    broken: dict[tuple[str, int], list[Finding]] = {}
    for finding in findings:
        place = finding.location
        if place is None or (_key(place) not in places and not _within(place, loop, last)):
            continue
        places.setdefault(_key(place), place)
        broken.setdefault(_key(place), []).append(finding)
    order = sorted(places, key=lambda key: (key[0] != loop.location.path, key))
    return Listing(
        loop.location,
        loop.passes,
        tuple(
            ListedLine(places[key], tuple(effects.get(key, ())), tuple(broken.get(key, ())))
            for key in order
        ),
    )


def _within(place: Location, loop: Loop, last: int) -> bool:
    return place.path == loop.location.path and loop.location.line < place.line < last


def _key(location: Location) -> tuple[str, int]:
    return location.path, location.line
