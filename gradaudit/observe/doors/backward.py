"""Backwards: ``Tensor.backward``, ``torch.autograd.backward`` and ``torch.autograd.grad``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import get_ident
from time import perf_counter
from types import FrameType
from typing import Any

import torch

from gradaudit.model import events as ev
from gradaudit.model.sites import Site
from gradaudit.observe.beginnings import UnderWay
from gradaudit.observe.doors.arrivals import Arrivals
from gradaudit.observe.doors.routine import Routines
from gradaudit.observe.engine import watch_engine
from gradaudit.observe.evaluations import Evaluations
from gradaudit.observe.instruments import Instruments
from gradaudit.observe.leaves import undispatched
from gradaudit.observe.patches import Hook, Patches
from gradaudit.observe.usual import UsualBackward


class BackwardDoor:
    """The :class:`gradaudit.observe.engine.BackwardListener` of a run.

    What runs in every iteration is written without context managers of ours and without calls
    that could be spared: behind torch's kernels the caches are cold, and a call of an empty
    Python function costs a microsecond there.
    """

    def __init__(self, instruments: Instruments, arrivals: Arrivals) -> None:
        self._arrivals = arrivals
        self._care = instruments.care
        self._sites = instruments.sites
        self._ledger = instruments.ledger
        self._watch = instruments.watch
        self._optimizers = instruments.optimizers
        self._probe = instruments.probe
        self._replicas = instruments.replicas
        self._pace = instruments.sampler.pace
        self._attendance = instruments.attendance
        self._backwards = instruments.backwards
        self._under_way: UnderWay | None = None
        self._routines: Routines[UsualBackward] = Routines()
        self.evaluations = Evaluations()

    def observe(self, patches: Patches) -> list[Hook]:
        """Hear of every backward."""
        watch_engine(patches, self)
        return []

    @property
    def under_way(self) -> bool:
        """Whether a backward is running."""
        return self._under_way is not None

    def backward_enters(
        self, roots: Sequence[Any], frame: FrameType, *, accumulates: bool, keeps: bool
    ) -> Callable[[Sequence[Any], bool], None] | None:
        """One is about to run; what is returned is called behind it."""
        began = perf_counter()
        try:
            if self._under_way is not None:
                return None  # from inside a backward: part of it (reentrant checkpoints)
            arrivals = self._arrivals
            latest = self._routines.latest
            if (
                latest is not None
                and latest.next.again(frame)
                and accumulates
                and not keeps  # a graph that is gone is not backpropagated again
                and arrivals.known == get_ident()
                and self._as_usual(latest.next.usual)
            ):
                self._routines.latest = latest.next
                return self._leaves
            if arrivals.known != get_ident() and not arrivals.expected(frame):
                return None
            site = self._sites.here(frame)
            if site is None:
                arrivals.nowhere("a backward")
                return None
            if not self._probe.over or site not in self._ledger.backwards:
                self._prepare(frame, site, accumulates=accumulates)
            if not accumulates:
                self._differentiates(roots, site)
                return None
            key = ("backward", site)
            before = self._watch.previous
            habit = self._watch.point(key)
            if self._attendance.checking:
                self._attendance.check(key)
            asked = bool(self.evaluations.under_way)
            if asked:
                self._evaluated_before()
            under_way = self._backwards.begins(roots, frame, site, closure=asked)
            self._attendance.unchecked -= 1
            if self._attendance.unchecked <= 0:
                self._attendance.checking = True
            if habit is not None and under_way.usual and not (keeps or asked):
                usual = self._watch.usual(
                    UsualBackward, before, self._watch.previous, habit, under_way
                )
                self._routines.learn(frame, self._sites.user_frame(frame), usual)
        except Exception as error:
            self._care.failed("a backward", error)
            with self._care.inside("passes of loops"):
                self._probe.tracer.go_on()
            return None
        finally:
            self._care.seconds += perf_counter() - began
        if under_way.graph is not None:
            with self._care.inside("the values of gradients"), undispatched():
                self._backwards.hook(under_way)
                if self._pace.in_common:
                    # The work of an all-reduce keeps the function modes of now, and its thread
                    # needs the GIL to let go of them: while a process group is being destroyed
                    # nobody gives it that (gloo, torch 2.13).
                    under_way.paused = True
                    self._probe.pause()
        self._under_way = under_way
        return self._leaves

    def _as_usual(self, usual: UsualBackward) -> bool:
        """Whether one from a known place has nothing else about it; then it has been begun."""
        under_way, attendance, roots = usual.under_way, self._attendance, self._backwards.roots
        if (
            attendance.checking
            or self.evaluations.under_way
            or roots.done
            or roots.scaled
            or not torch.is_grad_enabled()
            or not self._watch.begins_as_usual(usual)
        ):
            return False
        attendance.unchecked -= 1
        if attendance.unchecked <= 0:
            attendance.checking = True
        self._under_way = under_way
        return True

    def _prepare(self, frame: FrameType, site: Site, *, accumulates: bool) -> None:
        self._routines.forget()
        self._probe.arm(frame, outermost=True)
        if accumulates and site not in self._ledger.backwards:
            self._probe.surprised(frame)
            self._optimizers.refresh_all()  # where nothing is probed, nobody else has looked
        if self._watch.probing:
            self._pace.in_common = self._replicas.look()

    def _evaluated_before(self) -> None:
        optimizer = self.evaluations.moved()
        if optimizer is not None:
            self._watch.evaluated(self._optimizers.find(optimizer).members)

    def _differentiates(self, roots: Sequence[Any], site: Site) -> None:
        if self._watch.probing:
            with undispatched():
                self._probe.meant.by(root for root in roots if isinstance(root, torch.Tensor))
        self._watch.tell(ev.Differentiated(site))

    def _leaves(self, roots: Sequence[Any], failed: bool) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is None:
            return
        if under_way.usual and not failed:  # nothing was paused or hooked, nothing is to be asked
            began = perf_counter()
            try:
                self._watch.backward_ends(under_way.beginning, failed=False)
            except Exception as error:
                self._care.failed("a backward", error)
            finally:
                self._care.seconds += perf_counter() - began
            return
        if under_way.paused:
            with self._care.inside("the dataflow"):
                self._probe.go_on()
        if under_way.hooked is not None:
            with self._care.inside("the values of gradients"):
                self._care.seconds += self._backwards.unhook(under_way)
        began = perf_counter()
        try:
            self._backwards.ends(under_way, roots, failed=failed)
        except Exception as error:
            self._care.failed("a backward", error)
        finally:
            self._care.seconds += perf_counter() - began
        if under_way.graph is not None and not failed:
            with self._care.inside("the values of gradients"), undispatched():
                self._backwards.tell_causes(under_way)
        if under_way.untraced:
            with self._care.inside("passes of loops"):
                self._probe.tracer.go_on()
