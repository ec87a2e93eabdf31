"""The life of a gradient: EMPTY, HELD, APPLIED, and what went wrong on the way."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from gradaudit.ledger.mixtures import Mixture
from gradaudit.ledger.stock import Entry, put
from gradaudit.ledger.tally import SiteTally, Tally
from gradaudit.ledger.timeline import Timeline
from gradaudit.model.report import State
from gradaudit.model.sites import Site


@dataclass(frozen=True, slots=True)
class Wipe:
    """A clearing that threw contributions away before anything applied them."""

    site: Site | None
    by_hand: bool
    contributions: int


@dataclass(frozen=True, slots=True)
class Wiped:
    """Backwards, by their first and last number, whose contributions a clearing has wiped."""

    iteration: int
    first: int
    last: int
    contributions: int
    site: Site
    backward: Site


#: How many wiped backwards may be in doubt at a time.
DOUBTS = 64


class Life:
    """What happened to the gradient of the parameters of one cohort.

    The buffer holds ``held`` contributions that nothing has applied yet and ``spent`` ones that
    a step has applied already.  ``soiled`` is the backward that added to spent contributions.
    ``inherited`` is whether it holds something from before anybody looked: applied or not, from
    whichever backwards.
    """

    __slots__ = (
        "_contributions",
        "_in_doubt",
        "_outcome",
        "_soiled_read",
        "_sources",
        "_unread",
        "applied",
        "applied_from",
        "assigned",
        "born",
        "cleared",
        "clipped",
        "clipped_late",
        "clipped_scaled",
        "deposited",
        "discarded",
        "frozen",
        "held",
        "hungry",
        "inherited",
        "lost",
        "lost_at_once",
        "lost_from",
        "missing",
        "mixed",
        "soiled",
        "spent",
        "stale",
        "stale_read",
        "starved",
        "stock",
        "timeline",
        "updated",
        "was_read",
        "wipe",
    )

    def __init__(self, *, frozen: bool, iteration: int, inherited: bool = False) -> None:
        self.inherited = inherited
        self.held = 0
        #: the contributions behind ``held``
        self.stock: list[Entry] = []
        self.spent = 0
        self.soiled: Site | None = None
        self.wipe: Wipe | None = None
        self.frozen = frozen
        #: the iteration in which it became known
        self.born = iteration
        #: steps in a row that have found nothing since something last arrived
        self.hungry = 0
        #: backwards that put something in
        self.deposited = SiteTally()
        #: gradients put in by hand
        self.assigned = 0
        #: steps and updates by hand that used something
        self.applied = Tally()
        #: contributions that were applied, by their backward
        self.applied_from: dict[Site, int] = {}
        #: contributions of different backwards that were applied together
        self.mixed: dict[Mixture, Tally] = {}
        #: updates by hand among them
        self.updated = SiteTally()
        #: applications that included what an earlier one had used; at the soiling backward
        self.stale = SiteTally()
        #: clearings, wherever they found something to clear
        self.cleared = SiteTally()
        #: clearings that threw away what nothing had applied
        self.discarded = SiteTally()
        #: backwards nothing of which was ever applied or read, at the clearings that wiped them
        self.lost = SiteTally()
        self.lost_from: frozenset[Site] = frozenset()
        #: how many contributions were lost at once, and how often so many
        self.lost_at_once: dict[int, int] = {}
        #: clippings of what had not been applied yet, of what had, and of what was still scaled
        self.clipped = SiteTally()
        self.clipped_late = SiteTally()
        self.clipped_scaled = SiteTally()
        #: steps that found nothing because of such a clearing; (wipe by hand, whole optimizer)
        self.starved: dict[tuple[bool, bool], SiteTally] = {}
        #: steps that found nothing
        self.missing = SiteTally()
        #: reads by the user's own code of something there
        self.was_read = SiteTally()
        #: reads that showed a sum with what an earlier read had shown; at the adding backward
        self.stale_read = SiteTally()
        self.timeline = Timeline()
        self._soiled_read: Site | None = None
        self._unread = False
        self._in_doubt: list[Wiped] = []
        self._outcome: State | None = None
        self._contributions = 0
        #: where the contributions of this iteration that the buffer no longer holds came from
        self._sources: list[Entry] = []
        if iteration:
            self.timeline.add(iteration - 1, "frozen" if frozen else "none", 0, ())

    def copy(self) -> Life:
        """An equal life that goes on by itself: what a cohort does when it splits."""
        other = object.__new__(Life)
        for name in Life.__slots__:
            setattr(other, name, getattr(self, name))
        for name in (
            "deposited",
            "applied",
            "updated",
            "stale",
            "cleared",
            "discarded",
            "missing",
            "was_read",
            "stale_read",
            "lost",
            "clipped",
            "clipped_late",
            "clipped_scaled",
            "timeline",
        ):
            setattr(other, name, getattr(self, name).copy())
        other.starved = {key: tally.copy() for key, tally in self.starved.items()}
        other.stock = [entry.copy() for entry in self.stock]
        other.applied_from = dict(self.applied_from)
        other.lost_at_once = dict(self.lost_at_once)
        other.mixed = {mixture: tally.copy() for mixture, tally in self.mixed.items()}
        other._in_doubt = list(self._in_doubt)
        return other

    # -- what can happen ---------------------------------------------------------------------

    def deposit(self, new: Entry, iteration: int) -> None:
        """A backward reached it."""
        site = new.site
        if self.spent and self.soiled is None:
            self.soiled = site
        if self.was_read.count and not self._unread and self.held and self._soiled_read is None:
            self._soiled_read = site
        self.held += 1
        put(self.stock, new)
        self.hungry = 0
        self.wipe = None
        self._unread = True
        if self._outcome in (None, "discarded"):  # else it is for the next application
            self._contributions += 1
        self.deposited.add_at(iteration, site)

    def assign(self) -> None:
        """``.grad`` was replaced by hand: a new buffer, owing nothing to the old one."""
        self.held, self.spent, self.soiled, self.wipe = 1, 0, None, None
        self.inherited = False
        self.stock = []
        self._unread, self._soiled_read = True, None
        self.hungry = 0
        self._contributions += 1
        self.assigned += 1

    def apply(self, iteration: int) -> bool:
        """A step or an update by hand used the buffer; False when there was nothing in it."""
        if not self.held and not self.spent and not self.inherited:
            return False
        if self.inherited and not self.held:
            self.held = 1  # at least
        self.inherited = False
        if self.held:
            if self.soiled is not None:
                self.stale.add_at(iteration, self.soiled)
                self._outcome = "stale"
            else:
                self._outcome = "fresh" if self.held == 1 else "accumulated"
            self._contributions = self.held
            self._sources = self.stock
        self.applied.add(iteration)
        self.spend()
        return True

    def spend(self) -> None:
        """What it holds is used; whatever is added from now on is added to old gradients."""
        for entry in self.stock:
            self.applied_from[entry.site] = self.applied_from.get(entry.site, 0) + entry.count
        self.spent += self.held
        self.held = 0
        self.stock = []

    def mix(self, mixture: Mixture, iteration: int) -> None:
        """What is about to be applied comes from two backwards."""
        self.mixed.setdefault(mixture, Tally()).add(iteration)

    def step_without(self, site: Site, iteration: int, *, whole: bool) -> None:
        """A step found nothing; ``whole`` when it found nothing in all its parameters."""
        self.missing.add_at(iteration, site)
        self.hungry += 1
        if self.wipe is not None:
            tally = self.starved.setdefault((self.wipe.by_hand, whole), SiteTally())
            tally.add_at(iteration, self.wipe.site)
            self.wipe = None

    def clear(self, site: Site | None, iteration: int, *, by_hand: bool) -> None:
        """``.grad`` became None or zeros."""
        self.cleared.add_at(iteration, site)
        if self.held:
            self.wipe = Wipe(site, by_hand, self.held)
            if self.was_read.count and not self._unread:
                self.wipe = None  # the user's code had taken what it wanted
            else:
                self.discarded.add_at(iteration, site)
                self._doubt(site, iteration)
                if self._outcome in (None, "discarded"):
                    self._outcome = "discarded"
                    self._sources = self._sources + self.stock
        self.held = self.spent = 0
        self.inherited = False
        self.stock = []
        self.soiled = self._soiled_read = None
        self._unread = False

    def _doubt(self, site: Site | None, iteration: int) -> None:
        """Whether what is being wiped was of any use may show itself only later."""
        if site is not None and len(self._in_doubt) < DOUBTS:
            self._in_doubt += [
                Wiped(iteration, entry.first, entry.last, entry.count, site, entry.site)
                for entry in self.stock
                if not entry.evaluating and not entry.read
            ]

    def settle_doubts(self, used: Container[int], before: int) -> None:
        """Count as lost what was wiped before an iteration and was of no use to anybody."""
        left = []
        for wiped in self._in_doubt:
            if wiped.iteration >= before:
                left.append(wiped)
            elif wiped.first not in used and wiped.last not in used:
                self.lost.add_at(wiped.iteration, wiped.site)
                self.lost_from = self.lost_from | {wiped.backward}
                known = self.lost_at_once.get(wiped.contributions, 0)
                self.lost_at_once[wiped.contributions] = known + 1
        self._in_doubt = left

    @property
    def in_doubt(self) -> bool:
        """Whether there are wiped contributions of which it is not yet known if they were lost."""
        return bool(self._in_doubt)

    def rescale(self, site: Site | None, iteration: int, *, clipped: bool, filling: bool) -> None:
        """Changed in place.  Decaying a gradient after it was applied keeps it on purpose."""
        if clipped:
            if self.spent and not self.held:
                self.clipped_late.add_at(iteration, site)
            elif any(entry.scaled for entry in self.stock):
                self.clipped_scaled.add_at(iteration, site)
            elif self.held:
                self.clipped.add_at(iteration, site)
        elif filling and not self.held and not self.inherited:
            self.assign()
        elif self.spent and not self.held:
            self.spent = 0

    def unscale(self) -> None:
        """A GradScaler has taken its scale out."""
        for entry in self.stock:
            entry.scaled = False

    def look(self) -> None:
        """The user's own code looked at the gradient, whose optimizer will apply it."""
        if self.stock:
            self.stock[-1].read = True

    def read(self, site: Site, iteration: int) -> None:
        """The user's own code looked at what was there."""
        if not self.held:
            return
        if self._soiled_read is not None and self._unread:
            self.stale_read.add_at(iteration, self._soiled_read)
        self._soiled_read = None
        self._unread = False
        self.was_read.add_at(iteration, site)

    def close(self, iteration: int) -> None:
        """The iteration is over: write down what it was."""
        state = self._outcome
        if state is None:
            unfed: State = "unapplied" if self.inherited else "none"
            state = "unapplied" if self.held else "frozen" if self.frozen else unfed
        sources = self._sources
        if state in ("unapplied", "discarded"):
            sources = sources + self.stock
        self.timeline.add(iteration, state, self._contributions, sources)
        self._outcome = None
        self._contributions = 0
        self._sources = []

    def forget_timeline(self) -> None:
        """Drop iterations that turn out not to have been any."""
        self.timeline = Timeline()
        self.born = 0
