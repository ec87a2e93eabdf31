"""How often something happened, and between which iterations."""

from __future__ import annotations

from gradaudit.model.findings import Span
from gradaudit.model.sites import Site


class Tally:
    """A count with the first and the last iteration it grew in."""

    __slots__ = ("count", "first", "last")

    def __init__(self, count: int = 0, first: int = -1, last: int = -1) -> None:
        self.count = count
        self.first = first
        self.last = last

    def add(self, iteration: int) -> None:
        """Count one more, seen in ``iteration``."""
        if not self.count or iteration < self.first:  # the first step takes guesses back
            self.first = iteration
        self.count += 1
        self.last = iteration

    def copy(self) -> Tally:
        """An equal tally that grows on its own."""
        return Tally(self.count, self.first, self.last)

    def span(self) -> Span | None:
        """The tally as a finding shows it: in how many iterations; None when nothing was counted.

        It may have grown more than once in one.
        """
        if not self.count:
            return None
        return Span(self.first, self.last, min(self.count, self.last - self.first + 1))

    def __bool__(self) -> bool:
        return self.count > 0


class SiteTally(Tally):
    """A tally that also knows at which sites it grew."""

    __slots__ = ("sites",)

    def __init__(self) -> None:
        super().__init__()
        self.sites: dict[Site | None, int] = {}

    def add_at(self, iteration: int, site: Site | None) -> None:
        """Count one more, seen in ``iteration`` at ``site``."""
        self.add(iteration)
        self.sites[site] = self.sites.get(site, 0) + 1

    def copy(self) -> SiteTally:
        """An equal tally that grows on its own."""
        other = SiteTally()
        other.count, other.first, other.last = self.count, self.first, self.last
        other.sites = dict(self.sites)
        return other

    def main_site(self) -> Site | None:
        """The site at which it grew most often; of equals, the earliest."""
        known = [site for site in self.sites if site is not None]
        return max(known, key=self.sites.__getitem__) if known else None
