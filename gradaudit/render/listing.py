"""The training loop, annotated: what each of its lines does to gradients, and where it breaks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gradaudit.model.findings import Finding
from gradaudit.model.report import Loop, Report
from gradaudit.model.sites import Location
from gradaudit.render.words import loudest_first

#: As many broken lines outside of a loop as a reader takes in.
_MOST_ELSEWHERE = 8

_Key = tuple[str, int]

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

    kind: str
    count: int

    @property
    def does(self) -> str:
        """Say it in words."""
        return _EFFECTS.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class ListedLine:
    """A line of the loop; ``findings`` are those that want it changed."""

    location: Location
    effects: tuple[Effect, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Listing:
    """A loop: its first line, and those below it that matter, in the order of the file.

    ``elsewhere`` are lines outside of it that break what goes on in it: where a model cuts its
    graph, where the optimizer was built.  ``unlisted`` is how many more of these there are.
    """

    loop: Location
    passes: int
    lines: tuple[ListedLine, ...]
    elsewhere: tuple[ListedLine, ...] = ()
    unlisted: int = 0


def listings(report: Report) -> tuple[Listing, ...]:
    """List every loop around training."""
    findings = loudest_first(report)
    return tuple(_listing(loop, findings) for loop in report.loops)


def _listing(loop: Loop, findings: Iterable[Finding]) -> Listing:
    effects: dict[_Key, list[Effect]] = {}
    seen: dict[_Key, Location] = {}
    for event in loop.events:
        seen.setdefault(_key(event.location), event.location)
        effects.setdefault(_key(event.location), []).append(Effect(event.kind, event.count))
    broken: dict[_Key, list[Finding]] = {}
    inside, outside = dict(seen), dict[_Key, Location]()
    last = max((line for path, line in seen if path == loop.location.path), default=0)
    for finding in findings:
        place = finding.location
        if place is None:
            continue
        if _key(place) in seen or _within(place, loop, last):
            inside.setdefault(_key(place), place)
        elif any(_key(event.location) in seen for event in finding.related):
            outside.setdefault(_key(place), place)
        broken.setdefault(_key(place), []).append(finding)

    def listed(places: dict[_Key, Location]) -> tuple[ListedLine, ...]:
        order = sorted(places, key=lambda key: (key[0] != loop.location.path, key))
        return tuple(
            ListedLine(places[key], tuple(effects.get(key, ())), tuple(broken.get(key, ())))
            for key in order
        )

    elsewhere = listed(outside)
    unlisted = len(elsewhere[_MOST_ELSEWHERE:])
    return Listing(
        loop.location, loop.passes, listed(inside), elsewhere[:_MOST_ELSEWHERE], unlisted
    )


def _within(place: Location, loop: Loop, last: int) -> bool:
    return place.path == loop.location.path and loop.location.line < place.line < last


def _key(location: Location) -> _Key:
    return location.path, location.line
