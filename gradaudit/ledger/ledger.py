"""The fold: events in, lives out."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any

from gradaudit.ledger.cohorts import Cohort, Cohorts
from gradaudit.ledger.cycle import Cycle
from gradaudit.ledger.life import Life
from gradaudit.ledger.linear import repeat
from gradaudit.ledger.mixtures import mixtures
from gradaudit.ledger.records import BackwardRecord, ClearingRecord, OptimizerRecord, Used
from gradaudit.ledger.rhythm import Rhythm
from gradaudit.ledger.samples import Samples
from gradaudit.ledger.stock import Entry
from gradaudit.ledger.testimony import Testimony
from gradaudit.model import events as ev
from gradaudit.model.events import Event, Members
from gradaudit.model.sites import Site

NOBODY: Members = frozenset()

#: What of the ledger a repeated iteration changes, besides the lives.
_REPEATED = (
    "backward_calls",
    "backwards",
    "clearings",
    "counts",
    "cycle",
    "optimizer_steps",
    "optimizers",
    "zero_grad_calls",
    "_used",
)


class Ledger:
    """Lives of all leaves, folded from events one by one.

    Memory depends on how many leaves, sites and different patterns of life there are; it does not
    grow with the iterations of a steady run.
    """

    def __init__(self) -> None:
        self.cycle = Cycle()
        self.cohorts = Cohorts()
        self.evidence = Testimony()
        self.optimizers: dict[int, OptimizerRecord] = {}
        self.samples = Samples()
        self.backwards: dict[Site, BackwardRecord] = {}
        self.clearings: dict[Site, ClearingRecord] = {}
        #: how often each kind of event happened at each site
        self.counts: dict[tuple[str, Site], int] = {}
        #: where gradients were read that an optimizer applies
        self.monitors: set[Site] = set()
        self.backward_calls = 0
        self.optimizer_steps = 0
        self.zero_grad_calls = 0
        self._last_backward: Site | None = None
        self._owned: Members = NOBODY
        self._used = Used()
        self._closed = False
        self._open = False
        self._rhythm = Rhythm()
        self._handlers: dict[type, Callable[[Any], None]] = {
            ev.LeafSeen: self._leaf_seen,
            ev.Declared: self.evidence.declared,
            ev.Remembered: self.evidence.remembered,
            ev.Replaced: self.evidence.replaced,
            ev.RequiresGradSet: self._requires_grad_set,
            ev.FreezeMisspelt: self.evidence.freeze_misspelt,
            ev.OptimizerSeen: self._optimizer_seen,
            ev.Backward: self._backward,
            ev.PartBefore: self._part_before,
            ev.Differentiated: self._differentiated,
            ev.Assigned: self._assigned,
            ev.Cleared: self._cleared,
            ev.ZeroGradCalled: self._zero_grad_called,
            ev.Stepped: self._stepped,
            ev.Updated: self._updated,
            ev.Rescaled: self._rescaled,
            ev.Unscaled: self._unscaled,
            ev.Evaluated: self._evaluated,
            ev.GradRead: self._grad_read,
            ev.NoneRead: self._none_read,
            ev.GradFound: self.evidence.grad_found,
            ev.Entered: self.evidence.entered,
            ev.Exported: self.evidence.exported,
            ev.Severed: self._severed,
            ev.LossLeft: self.evidence.loss_left,
            ev.DeadEnd: self.evidence.dead_end,
            ev.Sampled: self.samples.sampled,
            ev.NonfiniteMade: self._nonfinite_made,
            ev.ZeroMade: self.samples.zero_made,
        }

    # -- the fold ------------------------------------------------------------------------------

    def feed(self, event: Event) -> None:
        """Take in the next event."""
        rhythm = self._rhythm
        if event is rhythm.next:  # as expected: it is only counted, without a call
            at = rhythm.at
            rhythm.counted += rhythm.begun[at]
            at += 1
            if at == len(rhythm.round):
                at = 0
                rhythm.turns += 1
            rhythm.at, rhythm.next = at, rhythm.round[at]
            return
        if type(event) is ev.Sampled:  # says itself when it was, and is nothing that lives do
            self.samples.sampled(event)
            return
        self.catch_up()
        rhythm.interrupted()
        before = self.cycle.index
        self.fold((event,))
        rhythm.folded(event, begins=self.cycle.index > before)

    def catch_up(self) -> None:
        """Fold the iterations that were only counted so far: lives are then up to date."""
        missed = self._rhythm.missed()
        if missed is not None:
            self.fold(missed.first)
            repeat(self, missed.round, missed.rounds)
            self.fold(missed.rest)

    def fold(self, events: Iterable[Event]) -> None:
        """Take in events, whatever is expected; see :class:`gradaudit.ledger.linear.Folding`."""
        for event in events:
            self._handlers[type(event)](event)

    @property
    def state(self) -> dict[str, Any]:
        """All that events of a repeated iteration may change; likewise."""
        return {
            "cohorts": self.cohorts.state,
            **{name: getattr(self, name) for name in _REPEATED},
        }

    @state.setter
    def state(self, state: dict[str, Any]) -> None:
        self.cohorts.state = state["cohorts"]
        for name in _REPEATED:
            setattr(self, name, state[name])

    def close(self) -> None:
        """The run is over: end the iteration that was under way.  Idempotent."""
        if not self._closed:
            self._closed = True
            self.catch_up()
            if self._open:
                self.cohorts.close(self.cycle.index)
            for cohort in self.cohorts:
                cohort.life.settle_doubts(self._used, self.cycle.index + 1)

    @property
    def iteration(self) -> int:
        """The iteration under way; the first is 0."""
        return self.cycle.index + self._rhythm.counted

    @property
    def iterations(self) -> int:
        """Iterations seen so far, the one under way included."""
        return self.iteration + 1 if self._open else 0

    def would_begin_iteration(self, key: Hashable) -> bool:
        """Whether an event of this key, if it happened now, would begin a new iteration."""
        self.catch_up()
        return self._begins_iteration(key)

    def life(self, leaf: int) -> Life:
        """The life of one leaf."""
        self.catch_up()
        return self.cohorts[leaf]

    # -- iterations ----------------------------------------------------------------------------

    def _counts_passes(self, key: Hashable) -> bool:
        """Without any step, and none to be expected, a pass of the backward is an iteration."""
        return (
            not self.cycle.stepped
            and not self.optimizers
            and isinstance(key, tuple)
            and key[0] == "backward"
        )

    def _begins_iteration(self, key: Hashable) -> bool:
        cycle = self.cycle
        return cycle.begins_anew(key) or (self._counts_passes(key) and cycle.repeats(key))

    def _happens(self, key: Hashable) -> None:
        if self._begins_iteration(key):
            self.cohorts.close(self.cycle.index)
            self.cycle.advance()
        self._open = True
        self.cycle.note(key)

    def _settle(self) -> None:
        if not self.cycle.stepped:
            self.cycle.stepped = True
            if self.cycle.index:
                self.cycle.restart()
                self.cohorts.forget_timelines()
        self.cycle.settle()

    def _count(self, kind: str, site: Site | None) -> None:
        if site is not None:
            key = (kind, site)
            self.counts[key] = self.counts.get(key, 0) + 1

    # -- one method per event --------------------------------------------------------------------

    def _leaf_seen(self, event: ev.LeafSeen) -> None:
        if self.evidence.leaf_seen(event):
            self.cohorts.add(
                event.leaf,
                frozen=not event.requires_grad,
                iteration=self.cycle.index,
                holding=event.holding,
            )

    def _requires_grad_set(self, event: ev.RequiresGradSet) -> None:
        self.evidence.requires_grad_set(event)
        for cohort in self.cohorts.select(event.members):
            cohort.life.frozen = not event.value

    def _optimizer_seen(self, event: ev.OptimizerSeen) -> None:
        known = self.optimizers.get(event.optimizer)
        if known is None:
            self.optimizers[event.optimizer] = OptimizerRecord(
                event.site, event.members, event.groups, horizon=event.horizon
            )
            self._owned = self._owned | event.members
        else:
            self._owned = self._owned | event.members
            known.members = known.members | event.members
            known.groups = event.groups

    def _backward(self, event: ev.Backward) -> None:
        self._happens(("backward", event.site))
        self.backward_calls += 1
        self._last_backward = event.site
        self._count("backward", event.site)
        record = self.backwards.get(event.site)
        if record is None:
            record = self.backwards[event.site] = BackwardRecord(event.site, event.root)
        record.count += 1
        record.failed += event.failed
        record.hopeless += event.hopeless
        record.made = record.made or event.made
        record.grad_mode_off = event.grad_mode_off or record.grad_mode_off
        record.evaluating += event.evaluating
        record.asked = record.asked and event.closure
        iteration = self.cycle.index
        for cohort in self.cohorts.select(event.deposited):
            entry = Entry(
                event.site,
                self.backward_calls,
                evaluating=event.evaluating,
                scaled=event.scaled,
                again=event.again,
            )
            cohort.life.deposit(entry, iteration)
            if event.closure:
                self._used.add(entry)

    def _part_before(self, event: ev.PartBefore) -> None:
        self.backwards[event.site].parts.add(event.part)

    def _differentiated(self, event: ev.Differentiated) -> None:
        self._count("autograd.grad", event.site)

    def _assigned(self, event: ev.Assigned) -> None:
        self._count("assign", event.site)
        for cohort in self.cohorts.select(event.members):
            cohort.life.assign()

    def _cleared(self, event: ev.Cleared) -> None:
        self._happens(("clear", event.site, event.targets))
        if event.by_hand:
            self._count("clear", event.site)
            self._clearing(event.site, event.targets)
        self.samples.changed(event.members)
        for cohort in self.cohorts.select(event.members):
            cohort.life.clear(event.site, self.cycle.index, by_hand=event.by_hand)

    def _zero_grad_called(self, event: ev.ZeroGradCalled) -> None:
        self._happens(("clear", event.site, event.targets))
        self.zero_grad_calls += 1
        self._count("zero_grad", event.site)
        self._clearing(event.site, event.targets)

    def _clearing(self, site: Site | None, targets: Members) -> None:
        if site is None:
            return
        known = self.clearings.get(site)
        if known is None:
            self.clearings[site] = ClearingRecord(1, targets)
            return
        known.count += 1
        if known.targets is not targets:
            known.targets = known.targets | targets

    def _stepped(self, event: ev.Stepped) -> None:
        self._happens(("step", event.site, event.optimizer))
        self.optimizer_steps += 1
        self._count("step", event.site)
        record = self.optimizers[event.optimizer]
        record.steps += 1
        if event.grad_mode_off is not None:
            record.off.add_at(self.cycle.index, event.grad_mode_off)
        record.step_sites[event.site] = record.step_sites.get(event.site, 0) + 1
        iteration = self.cycle.index
        present = self.cohorts.select(event.present)
        empty = [
            cohort.life for cohort in present if not self._apply(cohort, event.optimizer, record)
        ]
        missing = self.cohorts.select(event.missing)
        empty += [cohort.life for cohort in missing]
        whole = len(empty) == len(present) + len(missing)
        if whole:
            record.empty.add_at(iteration, event.site)
            record.began_empty = record.began_empty or (
                record.steps == 1 and not any(life.deposited for life in empty)
            )
        for life in empty:
            life.step_without(event.site, iteration, whole=whole)
        record.last_step = self.backward_calls
        if self._last_backward is not None:
            after = record.after
            after[self._last_backward] = after.get(self._last_backward, 0) + 1
        self._settle()

    def _apply(self, cohort: Cohort, number: int | None, record: OptimizerRecord | None) -> bool:
        """Apply what a cohort holds; first, where it came from."""
        life, iteration = cohort.life, self.cycle.index
        stock = life.stock
        for entry in stock:
            self._used.add(entry)
            if record is not None:
                record.sources.add(entry.site)
        if len(stock) > 1 or (stock and stock[0].count > 1):
            for mixture in mixtures(stock, cohort.members, number, self.optimizers):
                life.mix(mixture, iteration)
        if life.in_doubt:
            life.settle_doubts(self._used, iteration - 1)
        return life.apply(iteration)

    def _updated(self, event: ev.Updated) -> None:
        self._happens(("update", event.site))
        self._count("update", event.site)
        iteration = self.cycle.index
        for cohort in self.cohorts.select(event.members):
            if self._apply(cohort, None, None):
                cohort.life.updated.add_at(iteration, event.site)
            else:
                cohort.life.step_without(event.site, iteration, whole=True)
        self.samples.used(event.members, iteration)
        self._settle()

    def _rescaled(self, event: ev.Rescaled) -> None:
        self._count("clip" if event.clipped else "rescale", event.site)
        self.samples.changed(event.members)
        for cohort in self.cohorts.select(event.members):
            cohort.life.rescale(
                event.site, self.cycle.index, clipped=event.clipped, filling=event.filling
            )

    def _unscaled(self, event: ev.Unscaled) -> None:
        self._count("unscale", event.site)
        for cohort in self.cohorts.select(event.members):
            cohort.life.unscale()

    def _evaluated(self, event: ev.Evaluated) -> None:
        for cohort in self.cohorts.select(event.members):
            cohort.life.spend()

    def _grad_read(self, event: ev.GradRead) -> None:
        owned = event.members & self._owned
        if owned:
            self.monitors.add(event.site)
        for cohort in self.cohorts.select(owned):
            cohort.life.look()
            for entry in cohort.life.stock[-1:]:
                self._used.add(entry)
        for cohort in self.cohorts.select(event.members - owned):
            for entry in cohort.life.stock:
                self._used.add(entry)
                self.backwards[entry.site].inputs_read += 1
            cohort.life.read(event.site, self.cycle.index)

    def _none_read(self, event: ev.NoneRead) -> None:
        self.evidence.none_read(event, self._last_backward)

    def _severed(self, event: ev.Severed) -> None:
        self.evidence.severed(event, self.cycle.index)

    def _nonfinite_made(self, event: ev.NonfiniteMade) -> None:
        self.samples.nonfinite_made(event, self.cycle.index)
