"""Turns entries and exits of backward, step and clearing into events, states into deposits."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

import torch

from gradaudit.ledger.ledger import NOBODY, Ledger
from gradaudit.model import events as ev
from gradaudit.model.events import Event, Members
from gradaudit.model.sites import Site
from gradaudit.observe.accumulation import Accumulation
from gradaudit.observe.beginnings import Beginning
from gradaudit.observe.by_hand import Deeds, Habit, unexplained
from gradaudit.observe.eval_mode import EvalMode
from gradaudit.observe.gradients import Changes, Gradients, Mark
from gradaudit.observe.leaves import INTERNED, Leaf, Leaves, is_leaf, undispatched
from gradaudit.observe.usual import Key, Stretch, UsualBackward, UsualClearing, UsualStep

_Usual = TypeVar("_Usual", UsualBackward, UsualStep, UsualClearing)


class Watch:
    """The state of all gradients, and what the ledger is told of it.

    ``probing`` is whether by-hand ``deeds`` are being reported; where they are not, what changes
    between two points is explained by habit, or else told without a site.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.leaves = Leaves(ledger.feed)
        self.gradients = Gradients(self.leaves.members, self._died)
        self.probing = False
        self.deeds = Deeds(self.leaves.members)
        #: tells where a tensor was made, if that was seen
        self.made_at: Callable[[torch.Tensor], Site | None] = lambda _: None
        self._habits: dict[Stretch, Habit] = {}
        #: what has happened last
        self.previous: Key = ("begin",)
        self._keys: dict[Key, Key] = {}
        self._usual: dict[Hashable, Any] = {}
        self._spared: Stretch | None = None
        self._odd: set[Hashable] = set()
        self._interned: dict[Hashable, Event] = {}
        #: by identity: a module of the user's may compare and hash as it likes
        self._parameters: dict[int, tuple[weakref.ref[torch.nn.Module], Members]] = {}
        self._zeroings: dict[Hashable, tuple[Event, ...]] = {}
        self._traces: dict[Changes, tuple[Event, ...]] = {}
        self._eval_mode = EvalMode(self.leaves)
        self._deferred: list[Event] | None = None
        self._stepped_inside: set[int] = set()
        self._present: dict[int, Members] = {}
        self._accumulation = Accumulation(
            self.gradients, self.leaves.members, self._deposits, ledger.feed
        )
        #: whether the backward under way is only counted
        self._counting = False
        self.leaves.let_go = self._let_go
        #: whether a parameter was found without gradient that had one at the step before
        self.surprised = False

    # -- telling -------------------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Hand an event to the ledger, or keep it until the backward under way is over."""
        if self._deferred is not None:
            self._deferred.append(event)
            return
        if self._accumulation.waiting:
            self._accumulation.end()
        self.ledger.feed(event)

    def settle(self) -> None:
        """Tell the ledger of whatever was only counted so far."""
        if self._deferred is None:
            self._accumulation.end()

    def _let_go(self) -> None:
        """Forget what is made of sets of leaves: there have been too many of them."""
        for known in (
            self._interned,
            self._traces,
            self._zeroings,
            self._keys,
            self._usual,
        ):
            known.clear()
        self._eval_mode.let_go()

    def _died(self, dead: Members) -> None:
        """Leaves have died: no habit goes on reading them."""
        for habit in self._habits.values():
            habit.forget(dead)

    def _same(self, key: Hashable, make: Callable[[], Event]) -> Event:
        """The event made for a key before: in a steady run nothing is made anew."""
        known = self._interned.get(key)
        if known is None:
            if len(self._interned) >= INTERNED:
                self._interned.clear()
            known = self._interned[key] = make()
        return known

    # -- points ----------------------------------------------------------------------------------

    def point(self, key: Key) -> Habit | None:
        """Something is about to happen: first tell what was done by hand since the last time.

        Returns the habit that this was, if it was one.
        """
        if len(self._keys) >= INTERNED:
            self._keys.clear()
        key = self._keys.setdefault(key, key)  # the same one for :mod:`gradaudit.observe.usual`
        stretch = (self.previous, key)
        self.previous = key
        if self._counting:
            self._look_after_all()
        elif self._accumulation.beginning is not None and (self.probing or key != stretch[0]):
            self._accumulation.end()
        if self.probing:
            self._probed_stretch(stretch)
            return None
        habit = self._habits.get(stretch)
        if key[0] != "backward":
            if habit is None:
                if self._deferred is None:
                    self._strange_stretch(stretch)
                return None
            if not habit.events:
                return habit  # nothing was ever done by hand here: spare the look
        elif habit is not None and not habit.events and key[1] not in self._odd:
            self._spared = stretch  # likewise; what it would have found shows behind the backward
            return habit
        return habit if self._look_behind(habit) else None

    def _look_behind(self, habit: Habit | None) -> bool:
        """Tell what was done by hand; whether it was the habit."""
        changes = self.gradients.look()
        if habit is not None and habit.explains(changes):
            for event in habit.events:
                self.tell(event)
            return True
        if changes:
            for event in self._unexplained(changes):
                self.tell(event)
        return False

    def _strange_stretch(self, stretch: Stretch) -> None:
        """One that was never probed: one look tells whether anything is done by hand in it."""
        changes = self.gradients.look()
        events = self._unexplained(changes)
        if len(self._habits) < INTERNED:
            self._habits[stretch] = Habit(changes, events)
        for event in events:
            self.tell(event)

    def _unexplained(self, changes: Changes) -> tuple[Event, ...]:
        known = self._traces.get(changes)
        if known is None:
            if len(self._traces) >= INTERNED:
                self._traces.clear()
            known = self._traces[changes] = tuple(unexplained(changes, (), self.leaves.members))
        return known

    def _probed_stretch(self, stretch: Stretch) -> None:
        changes = self.gradients.look()
        explained = self.deeds.explained
        events = self.deeds.take()
        rest = unexplained(changes, explained, self.leaves.members)
        habit = Habit(changes, (*events, *rest), self.leaves.next_number)
        before = self._habits.get(stretch)
        if before is not None:
            habit.drop_first_reads(before.known)
        self._habits[stretch] = habit
        for event in (*events, *rest):
            self.tell(event)

    # -- leaves ----------------------------------------------------------------------------------

    def follow(self, tensor: torch.Tensor, created: Site | None = None) -> int:
        """From now on this leaf is looked at; its number."""
        leaf = self.leaves.find(tensor)
        if leaf is None:
            leaf = self.leaves.learn(tensor, created or self.made_at(tensor))
        return self.follow_leaf(leaf)

    def follow_leaf(self, leaf: Leaf) -> int:
        """From now on this leaf is looked at; its number."""
        number = self.leaves.tell(leaf)
        if leaf not in self.gradients:
            self.gradients.track(leaf)
        return number

    def parameters_of(self, module: torch.nn.Module) -> Members:
        """All parameters of a module; behind the probe, those it had when last asked."""
        known = None if self.probing else self._parameters.get(id(module))
        if known is not None and known[0]() is module:
            return known[1]
        with undispatched():
            members = self.leaves.members(map(self.follow, torch.nn.Module.parameters(module)))
        if len(self._parameters) >= INTERNED:
            self._parameters.clear()
        self._parameters[id(module)] = weakref.ref(module), members
        return members

    def registered(self) -> None:
        """Some module has taken in a parameter or a module."""
        if self._parameters:
            self._parameters.clear()

    def optimizer_seen(
        self,
        number: int,
        site: Site | None,
        members: Members,
        groups: tuple[Members, ...],
        horizon: int,
    ) -> None:
        """An optimizer has these members now."""
        self.tell(ev.OptimizerSeen(number, site, members, groups, horizon))

    def fed_unseen(self) -> bool:
        """Whether leaves that nobody looks at have a gradient: thawed or made behind the probe."""
        with undispatched():
            found = [
                leaf
                for leaf, tensor in self.leaves.alive()
                if leaf not in self.gradients
                and not self.leaves.one_of_many(leaf)
                and is_leaf(tensor)
                and tensor.grad is not None
            ]
            for leaf in found:
                self.follow_leaf(leaf)
        return bool(found)

    # -- backward --------------------------------------------------------------------------------

    def backward_begins(self, beginning: Beginning | None) -> None:
        """An accumulating backward is about to run; None if it is unlike all others."""
        if self._accumulation.beginning is not None:
            self._counting = self._accumulation.counts(beginning)
            if not self._counting:
                self._accumulation.end()
        self._deferred = []
        self._stepped_inside.clear()

    def backward_ends(self, beginning: Beginning, *, failed: bool) -> Members:
        """It has run: whatever changed was deposited by it.  Returns the leaves it reached."""
        if self._counting:
            deferred, self._deferred, self._counting = self._deferred, None, False
            if failed or deferred:
                self._accumulation.end(failed=failed)
            for event in deferred or ():
                self.ledger.feed(event)
            return NOBODY
        changes = self.gradients.look()
        if changes.odd:
            self._explain_odd(beginning.site, changes)
        deposited = changes.left
        if self._stepped_inside:
            deposited = self.leaves.members(deposited | self._stepped_inside)
        deferred, self._deferred = self._deferred, None
        spared, self._spared = self._spared, None
        again = spared is not None and spared[0] == spared[1]
        before = self.ledger.iteration if again else 0
        self._deposits(beginning, deposited, failed=failed)
        if deferred:
            for event in deferred:
                self.ledger.feed(event)
        elif (changes.added == 1 or self._accumulation.usual) and not (
            failed or self._stepped_inside or beginning.site in self._odd
        ):
            self._accumulation.looked_at(
                beginning, changes, follows=again and before == self.ledger.iteration
            )
        return deposited

    def _deposits(self, beginning: Beginning, deposited: Members, *, failed: bool = False) -> None:
        evaluating = self._eval_mode.of(deposited)
        key = (beginning, deposited, failed, evaluating)
        event = self._interned.get(key) or self._same(
            key, lambda: beginning.event(deposited, failed=failed, evaluating=evaluating)
        )
        self.ledger.feed(event)

    def _look_after_all(self) -> None:
        """Something happens inside a backward that was only to be counted."""
        self._counting = False
        self._stepped_inside |= self._accumulation.interrupt()

    def _explain_odd(self, site: Site, changes: Changes) -> None:
        """Behind a spared look: tell if something was done by hand before the backward after all.

        Backwards of special kinds (``create_graph=True`` makes new gradients) leave such changes
        by themselves: before those the look is never spared.
        """
        self._odd.add(site)
        if self._spared is not None:
            by_hand: dict[int, Mark] = {
                leaf: "emptied" if mark == "replaced" else mark
                for leaf, mark in changes.marks.items()
                if mark not in {"filled", 1}
            }
            for event in unexplained(Changes(by_hand, NOBODY), (), self.leaves.members):
                self.ledger.feed(event)

    # -- optimizers ------------------------------------------------------------------------------

    def unscaled(self, site: Site, members: Members) -> None:
        """A GradScaler has divided the gradients of an optimizer by its scale."""
        self.gradients.look()
        self.tell(self._same(("unscaled", site, members), lambda: ev.Unscaled(site, members)))

    def evaluated(self, members: Members) -> None:
        """A step under way has used the gradients of an optimizer, and asks for them anew."""
        self.tell(self._same(("evaluated", members), lambda: ev.Evaluated(members)))

    def step(
        self, site: Site, number: int, members: Members, grad_mode_off: Site | None = None
    ) -> tuple[Members, Event]:
        """An optimizer steps, its gradients as they are now: who has one, and what was told."""
        if self._deferred is not None:  # a step from inside a backward
            self.gradients.look()
        present = self.gradients.holding(members)
        before = self._present.get(number, present)
        if before is not present and not before <= present:
            self.surprised = True
        self._present[number] = present
        if self._deferred is not None:
            self._stepped_inside |= present
        key = ("step", site, number, present, members, grad_mode_off)
        event = self._interned.get(key) or self._same(
            key,
            lambda: ev.Stepped(
                site,
                number,
                present,
                NOBODY if present is members else self.leaves.members(members - present),
                grad_mode_off,
            ),
        )
        if self._deferred is None and not self._accumulation.waiting:
            self.ledger.feed(event)
        else:
            self.tell(event)
        return present, event

    def zero_grad(
        self, site: Site, targets: Members, held: Members, *, to_none: bool
    ) -> tuple[Event, ...]:
        """``zero_grad`` has run, or is about to set all to None and nobody looks on the way.

        Returns what was told.
        """
        if to_none:
            self.gradients.assume_empty(targets)
        else:
            self.gradients.look()
        key = (site, targets, held, to_none)
        events = self._zeroings.get(key)
        if events is None:
            events = (ev.ZeroGradCalled(site, targets),)
            if held:
                events += (ev.Cleared(site, held, targets, by_hand=False, to_none=to_none),)
            if len(self._zeroings) >= INTERNED:
                self._zeroings.clear()
            self._zeroings[key] = events
        tell = self.tell
        if self._deferred is None and not self._accumulation.waiting:
            tell = self.ledger.feed
        for event in events:
            tell(event)
        return events

    # -- what comes as it came before: the same as above, in fewer steps --------------------------

    def usual(self, kind: Callable[..., _Usual], *what: Hashable) -> _Usual:
        """The one object for what is known of a kind of event."""
        key = (kind, *what)
        known: _Usual | None = self._usual.get(key)
        if known is None:
            if len(self._usual) >= INTERNED:
                self._usual.clear()
            known = self._usual[key] = kind(*what)
        return known

    def begins_as_usual(self, usual: UsualBackward) -> bool:
        """A backward is about to run; whether it was told of."""
        if self.previous is not usual.before or self.probing:
            return False
        beginning, habit = usual.under_way.beginning, usual.habit
        if self._odd and beginning.site in self._odd:
            return False
        accumulation = self._accumulation
        if accumulation.beginning is not None:
            self._counting = usual.before is usual.key and accumulation.counts(beginning)
            if not self._counting:
                accumulation.end()
        self.previous = usual.key
        if habit.events:
            self._look_behind(habit)
        else:
            self._spared = usual.stretch
        self._deferred = []
        if self._stepped_inside:
            self._stepped_inside.clear()
        return True

    def steps_as_usual(self, usual: UsualStep) -> bool:
        """A step is about to run; whether it was told of."""
        if not self._passes(usual):
            return False
        present = self.gradients.holding(usual.members)
        if present is usual.present and self._present.get(usual.number) is present:
            self.ledger.feed(usual.event)
        else:
            self.step(usual.site, usual.number, usual.members)
        return True

    def clears_as_usual(self, usual: UsualClearing) -> bool:
        """A clearing to None is about to run; whether it was told of."""
        if not self._passes(usual):
            return False
        held = self.gradients.holding(usual.targets)
        if held is usual.held:
            self.gradients.assume_empty(usual.targets)
            for event in usual.events:
                self.ledger.feed(event)
        else:
            self.zero_grad(usual.site, usual.targets, held, to_none=True)
        return True

    def _passes(self, usual: UsualStep | UsualClearing) -> bool:
        """Whether it is the point before that was expected, and no backward is under way."""
        if self.previous is not usual.before or self.probing or self._deferred is not None:
            return False
        if self._accumulation.beginning is not None:
            self._accumulation.end()
        if usual.habit.events:
            self._look_behind(usual.habit)
        self.previous = usual.key
        return True
