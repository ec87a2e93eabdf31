"""Optimizers: built, stepped, cleared."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from time import perf_counter
from types import FrameType

import torch
from torch.optim import Optimizer

from gradaudit.model.events import Members
from gradaudit.model.sites import Site
from gradaudit.observe.doors.arrivals import Arrivals
from gradaudit.observe.doors.backward import BackwardDoor
from gradaudit.observe.doors.routine import Routines
from gradaudit.observe.instruments import Instruments
from gradaudit.observe.leaves import undispatched
from gradaudit.observe.optimizers import watch_optimizers
from gradaudit.observe.patches import Hook, Patches
from gradaudit.observe.usual import UsualClearing, UsualStep


class SteppingDoor:
    """The :class:`gradaudit.observe.optimizers.OptimizerListener` of a run.

    ``at_rest`` is called now and then, when nothing is under way.  On what runs in every iteration
    see :class:`gradaudit.observe.doors.backward.BackwardDoor`.
    """

    def __init__(
        self,
        instruments: Instruments,
        arrivals: Arrivals,
        backward: BackwardDoor,
        at_rest: Callable[[], None],
    ) -> None:
        self._arrivals = arrivals
        self._backward = backward
        self._at_rest = at_rest
        self._care = instruments.care
        self._sites = instruments.sites
        self._ledger = instruments.ledger
        self._watch = instruments.watch
        self._optimizers = instruments.optimizers
        self._book = instruments.book
        self._probe = instruments.probe
        self._replicas = instruments.replicas
        self._sampler = instruments.sampler
        self._attendance = instruments.attendance
        self._usual_steps: Routines[UsualStep] = Routines()
        self._usual_clearings: Routines[UsualClearing] = Routines()

    def observe(self, patches: Patches) -> list[Hook]:
        """Hear of constructions, steps and clearings."""
        self._steps = watch_optimizers(patches, self)
        return [self._steps]

    def hide_from_dynamo(self, patches: Patches) -> None:
        """See :meth:`gradaudit.observe.optimizers.Steps.hide_from_dynamo`."""
        self._steps.hide_from_dynamo(patches)

    @property
    def compiled(self) -> bool:
        """Whether steps ran in a region that torch.compile had compiled: nobody heard of them."""
        return self._steps.compiled

    # -- construction ----------------------------------------------------------------------------

    def optimizer_built(self, optimizer: Optimizer, frame: FrameType) -> None:
        """An optimizer is being constructed."""
        if self._arrivals.off:
            return
        with self._care.inside("the construction of an optimizer"):
            self._probe.surprised(frame)
            known = self._optimizers.built(optimizer, frame)
            if known.site is not None and self._watch.probing:
                self._probe.handiwork.given(
                    frame.f_locals.get("params"), known.site, self._name_in(frame)
                )
                self._book.look(frame, early=True)  # names may be given to others later

    def _name_in(self, frame: FrameType) -> Callable[[object], str]:
        """Names of tensors by the variables of the user's nearest frame."""
        user = self._sites.user_frame(frame)
        variables = {} if user is None else user.f_locals

        def name(value: object) -> str:
            return next((key for key, each in variables.items() if each is value), "tensor")

        return name

    # -- steps -----------------------------------------------------------------------------------

    def closure_enters(self, optimizer: Optimizer) -> None:
        """A step with a closure asks for backwards first."""
        try:
            if self._arrivals.ours():
                self._backward.evaluations.begin(optimizer)
                self._probe.mode.stepping = True
                if not self._steps.attended:
                    self._steps.attend(True)
        except Exception as error:
            self._care.failed("a step", error)

    def step_enters(self, optimizer: Optimizer, frame: FrameType, *, closure: bool = False) -> None:
        """Gradients are applied as they are now, which a ``closure`` may have left."""
        began = perf_counter()
        try:
            if self._sampler.waiting:
                self._tell_samples()
                began = perf_counter()
            latest = self._usual_steps.latest
            if (
                latest is not None
                and latest.next.again(frame)
                and self._steps_as_usual(optimizer, latest.next.usual)
            ):
                self._usual_steps.latest = latest.next
                members = latest.next.usual.members
            elif self._listens(optimizer, frame, closure=closure):
                members = self._optimizers.find(optimizer).members
            else:
                return
            iteration = self._ledger.iteration
            if self._sampler.pace.due(iteration, probing=self._watch.probing):
                self._take_sample(members, iteration)
                if self._probe.over and self._watch.fed_unseen():
                    self._probe.surprised(frame)
            if not closure and (
                self._watch.surprised or self._steps.attended or not self._probe.over
            ):
                self._attend(frame)
        except Exception as error:
            self._care.failed("a step", error)
        finally:
            self._care.seconds += perf_counter() - began

    def _listens(self, optimizer: Optimizer, frame: FrameType, *, closure: bool) -> bool:
        """Whether the step is anything to listen to; then it has been told of."""
        arrivals = self._arrivals
        if arrivals.known != get_ident() and not arrivals.expected(frame):
            return False
        site = self._sites.here(frame)
        if site is None:
            arrivals.nowhere("a step")
            return False
        known = self._optimizers.find(optimizer)
        key = ("step", site, known.number)
        watch = self._watch
        before = watch.previous
        habit = watch.point(key)
        if self._attendance.checking:
            self._attendance.check(key)
        if not self._probe.over:
            self._prepare(frame)
        grad_mode_off = None if torch.is_grad_enabled() else self._probe.switch(frame)
        present, event = watch.step(site, known.number, known.members, grad_mode_off)
        if habit is not None and self._probe.over and grad_mode_off is None and not closure:
            about = (site, known.number, known.members, present, event)
            usual = watch.usual(UsualStep, before, watch.previous, habit, *about)
            self._usual_steps.learn(frame, self._sites.user_frame(frame), usual)
        return True

    def _steps_as_usual(self, optimizer: Optimizer, usual: UsualStep) -> bool:
        """Whether one from a known place has nothing else about it; then it has been told of."""
        known = self._optimizers.find(optimizer)
        return (
            known.members is usual.members
            and known.number == usual.number
            and self._arrivals.known == get_ident()
            and not self._attendance.checking
            and torch.is_grad_enabled()
            and self._watch.steps_as_usual(usual)
        )

    def _attend(self, frame: FrameType) -> None:
        """While the probe is on, the calls of a step are not followed, and its end is heard of."""
        if self._watch.surprised:
            self._watch.surprised = False
            self._probe.surprised(frame)
        probing = not self._probe.over
        if probing:
            self._probe.pause()
        if probing is not self._steps.attended:
            self._steps.attend(probing)

    def step_leaves(self, optimizer: Optimizer, frame: FrameType, *, closure: bool) -> None:
        """A step with a closure has applied what the closure's backwards left."""
        try:
            if not self._arrivals.ours():
                return
            if closure:
                evaluations = self._backward.evaluations
                evaluations.end(optimizer)
                self._probe.mode.stepping = bool(evaluations.under_way)
                self.step_enters(optimizer, frame, closure=True)
            elif not self._probe.over:
                self._probe.go_on()
            self._tell_samples()
            if not self._backward.under_way:
                self._probe.safe_moment()
        except Exception as error:
            self._care.failed("a step", error)

    def _prepare(self, frame: FrameType) -> None:
        self._usual_steps.forget()
        self._probe.arm(frame)
        if self._watch.probing:
            with self._probe.tracer.paused(), undispatched():
                self._book.look_in_training(frame)
                self._probe.meant.tell_entered()
                self._probe.meant.tell_left()

    # -- samples of values -----------------------------------------------------------------------

    def _take_sample(self, members: Members, iteration: int) -> None:
        with self._probe.tracer.paused(), undispatched():
            self._sampler.take(members, iteration)
            self._replicas.weigh(members, iteration)

    def _tell_samples(self) -> None:
        if self._sampler.waiting:
            with (
                self._care.inside("the values of gradients"),
                self._probe.tracer.paused(),
                undispatched(),
            ):
                self._sampler.tell()
                self._at_rest()

    # -- clearings -------------------------------------------------------------------------------

    def zero_grad_enters(
        self, owner: Optimizer | torch.nn.Module, frame: FrameType, *, to_none: bool
    ) -> Callable[[], None] | None:
        """``zero_grad`` is about to run; what is returned, if anything, is called behind it."""
        began = perf_counter()
        try:
            latest = self._usual_clearings.latest
            if (
                latest is not None
                and latest.next.again(frame)
                and to_none
                and self._clears_as_usual(owner, latest.next.usual)
            ):
                self._usual_clearings.latest = latest.next
                return None
            arrivals = self._arrivals
            if arrivals.known != get_ident() and not arrivals.expected(frame):
                return None
            site = self._sites.here(frame)
            if site is None:
                arrivals.nowhere("zero_grad")
                return None
            if not self._probe.over:
                self._usual_clearings.forget()
                self._probe.arm(frame)
            if isinstance(owner, Optimizer):
                targets = self._optimizers.find(owner).members
            else:
                targets = self._watch.parameters_of(owner)
            key = ("clear", site, targets)
            watch = self._watch
            before = watch.previous
            habit = watch.point(key)
            if self._attendance.checking:
                self._attendance.check(key)
            held = watch.gradients.holding(targets)
            if to_none and not watch.probing:
                events = watch.zero_grad(site, targets, held, to_none=True)
                if habit is not None:
                    about = (site, targets, held, events)
                    usual = watch.usual(UsualClearing, before, watch.previous, habit, *about)
                    self._usual_clearings.learn(frame, self._sites.user_frame(frame), usual)
                return None
            if not self._probe.over:
                self._probe.pause()
        except Exception as error:
            self._care.failed("zero_grad", error)
            return None
        finally:
            self._care.seconds += perf_counter() - began
        return lambda: self._zero_grad_leaves(site, targets, held, to_none=to_none)

    def _clears_as_usual(self, owner: Optimizer | torch.nn.Module, usual: UsualClearing) -> bool:
        """Likewise one that sets gradients to None.

        Members that the optimizer was given since its last step have no gradient from it, and are
        met at the next.
        """
        if isinstance(owner, Optimizer):
            targets = self._optimizers.members_last(owner)
        else:
            targets = self._watch.parameters_of(owner)
        return (
            targets is usual.targets
            and self._arrivals.known == get_ident()
            and not self._attendance.checking
            and self._watch.clears_as_usual(usual)
        )

    def _zero_grad_leaves(
        self, site: Site, targets: Members, held: Members, *, to_none: bool
    ) -> None:
        with self._care.inside("zero_grad"):
            self._watch.zero_grad(site, targets, held, to_none=to_none)
            if not self._probe.over:
                self._probe.go_on()
                if not self._backward.under_way:
                    self._probe.safe_moment()
