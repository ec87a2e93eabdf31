"""The timelines of a report: what lives, backwards and samples tell of every iteration."""

from __future__ import annotations

from gradaudit.ledger.ledger import Ledger
from gradaudit.ledger.life import Life
from gradaudit.model.report import TimelineRun
from gradaudit.model.sites import Location
from gradaudit.model.timelines import coarsened, with_values

#: How many runs the timelines of a report have together at most, and each of them at least.
_ALL_RUNS, _FEWEST_RUNS = 30_000, 10

#: How many stretches of worthless values are told in them, likewise.
_ALL_STRETCHES, _FEWEST_STRETCHES = 8_000, 5


class Timelines:
    """Writes timelines for so many leaves; ``backwards`` are the places that they refer to."""

    def __init__(self, ledger: Ledger, leaves: int) -> None:
        self._ledger = ledger
        self._runs = max(_FEWEST_RUNS, _ALL_RUNS // max(leaves, 1))
        self._stretches = max(_FEWEST_STRETCHES, _ALL_STRETCHES // max(leaves, 1))
        self._number = {site: number for number, site in enumerate(ledger.backwards)}
        self._of_life: dict[int, tuple[TimelineRun, ...]] = {}

    @property
    def backwards(self) -> tuple[Location, ...]:
        """The places that runs refer to, by their index."""
        return tuple(site.location for site in self._number)

    def of(self, leaf: int) -> tuple[TimelineRun, ...]:
        """What the iterations were for the gradient of a leaf."""
        life = self._ledger.life(leaf)
        timeline = self._of_life.get(id(life))
        if timeline is None:
            timeline = self._of_life[id(life)] = self._lived(life)
        stretches = tuple(self._ledger.samples[leaf].stretches(self._ledger.iteration))
        if not stretches:
            return timeline
        step = -(-len(stretches) // self._stretches)
        return tuple(with_values(timeline, (*stretches[:-1:step], stretches[-1])))

    def _lived(self, life: Life) -> tuple[TimelineRun, ...]:
        return tuple(
            TimelineRun(
                period.first,
                period.last,
                period.state,
                period.contributions,
                period.mixed,
                backwards=tuple(self._number[site] for site in period.backwards),
            )
            for period in coarsened(tuple(life.timeline), self._runs)
        )
