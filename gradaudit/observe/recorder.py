"""The recorder: the one object launch holds while the script runs."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from threading import get_ident
from time import perf_counter
from types import FrameType
from typing import Any

import torch
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from gradaudit.ledger.ledger import Ledger
from gradaudit.ledger.recording import Recording
from gradaudit.model import events as ev
from gradaudit.model.events import Members
from gradaudit.model.run import Limits
from gradaudit.model.sites import Site
from gradaudit.observe.amp import tensors_of, watch_scaling
from gradaudit.observe.attendance import Attendance
from gradaudit.observe.backwards import Backwards, UnderWay
from gradaudit.observe.book import Book
from gradaudit.observe.care import Care
from gradaudit.observe.compiled import compiled_already
from gradaudit.observe.dynamo import leave_our_code_alone
from gradaudit.observe.engine import watch_engine
from gradaudit.observe.forks import stay_out_of_children
from gradaudit.observe.leaves import undispatched
from gradaudit.observe.modules import replaced, watch_registrations
from gradaudit.observe.optimizers import Optimizers, Steps, watch_optimizers
from gradaudit.observe.patches import Patches
from gradaudit.observe.probe import Probe
from gradaudit.observe.replicas import Replicas
from gradaudit.observe.sampling import Pace, Sampler
from gradaudit.observe.sites import SiteBook, UserCode
from gradaudit.observe.source import SourceBook
from gradaudit.observe.watch import Watch

#: Modules that Python imports only to start a process.
_PROCESSES = frozenset({"multiprocessing.popen_fork", "multiprocessing.popen_spawn_posix"})


def _never(recorder: Recorder, over: int) -> int:
    """The iteration at whose end somebody wants to be called, when nobody does."""
    del recorder, over
    return sys.maxsize


class Recorder:
    """Watches one run; ``at_rest`` is called now and then, when nothing is under way.

    Every entry from torch comes through a method of this class: it keeps the audit's own clock,
    stays out of other threads and of forked children, and turns whatever breaks inside the audit
    into a gap of the report.  ``whole`` is False where it watches only a block of the program.
    """

    def __init__(
        self,
        limits: Limits,
        attend: Callable[[Recorder, int], int] | None = None,
        *,
        main_file: str | None,
        whole: bool = True,
        at_rest: Callable[[], None] = lambda: None,
    ) -> None:
        self._whole = whole
        self._at_rest = at_rest
        self._attend = attend or _never
        self._care = Care()
        self._sources = SourceBook()
        self._sites = SiteBook(UserCode(main_file or _main_file()), self._sources, os.getcwd())
        self.ledger = Ledger()
        self._watch = Watch(self.ledger, self._sites)
        self._optimizers = Optimizers(self._watch, self._sites)
        self._book = Book(self._watch, self._optimizers, self._sites)
        self._probe = Probe(
            self._watch, self._sites, self._care.gap, self._care.failed, self._frame_returns
        )
        self._backwards = Backwards(
            self._watch, self._sites, self._probe, self._optimizers, self._book
        )
        self._replicas = Replicas(self._watch.leaves)
        self._under_way: UnderWay | None = None
        pace = Pace(limits.overhead, lambda: self._care.seconds)
        self._sampler = Sampler(self._watch.leaves, self._watch.tell, pace)
        self._patches = Patches()
        self._hooks: list[RemovableHandle | Steps] = []
        self._thread: int | None = None
        self._recording: Recording | None = None
        self._off = True
        self._released = False
        self._closures = 0
        self._attendance = Attendance(limits, self.ledger, self._attended)
        self._compiling = False

    # -- the life of the recorder --------------------------------------------------------------

    def install(self) -> None:
        """Put every observer in place; called once, right after torch was imported."""
        self._off = False
        try:
            self._observe()
        except BaseException:
            self._uninstall()
            raise

    def _observe(self) -> None:
        watch_engine(self._patches, self)
        watch_scaling(self._patches, self)
        self._steps = watch_optimizers(self._patches, self)
        self._hooks += [self._steps, *watch_registrations(self._registered, self._nested)]
        self._hooks.append(self._replicas.watch())
        self._patches.replace(torch, "compile", self._compile(torch.compile))
        stay_out_of_children(self)
        self._probe.begin()
        if not self._whole and compiled_already():
            self._probe.stand_aside("torch.compile was used before the audit began")

    def finish(self) -> Recording:
        """Take every observer away again and hand over what was seen.  Idempotent."""
        if self._recording is None:
            with self._care.inside("the end of the run"):
                self._last_look()
            with self._care.inside("the end of the run"):
                self._uninstall()
                self._sites.release_locals(sys._getframe(1))
            self.ledger.close()
            self._recording = self.so_far()
        return self._recording

    def so_far(self) -> Recording:
        """Hand over what was seen until now; the iteration under way is not closed.

        The ledger is the recorder's own, and goes on.
        """
        self._watch.settle()
        self.ledger.catch_up()
        return self._book.recording(
            probe=self._probe,
            gaps=self._care.gaps,
            audit_seconds=self.audit_seconds,
            broken=self._care.broken,
            replicas=self._replicas,
        )

    @property
    def audit_seconds(self) -> float:
        """What the audit has cost until now, the function mode and the tracer included."""
        return self._care.seconds + self._probe.seconds

    @property
    def stopped(self) -> bool:
        """Whether a limit of the run has ended the training."""
        return self._attendance.stopped

    @property
    def trained(self) -> bool:
        """Whether anything was seen that trains."""
        return bool(self.ledger.backward_calls or self.ledger.optimizer_steps)

    def _last_look(self) -> None:
        if self._off:
            return
        if self._steps.compiled:
            self._care.broken = True
            self._care.gap(
                "the steps of optimizers", "some ran in regions that torch.compile compiled"
            )
        if not self.ledger.backward_calls and _PROCESSES & sys.modules.keys():
            self._care.gap(
                "training in other processes",
                "of those that multiprocessing starts none was seen to train, and others, its "
                "pools among them, are not followed",
            )
        with undispatched():
            self._optimizers.refresh_all()
            self._watch.point(("end",))
            self._probe.tell_entered()
            self._probe.tell_losses_left()
            self._sampler.tell(last=True)
            self._book.look(sys._getframe(1), last=self._whole)
            if not self._whole:
                self._book.owned_elsewhere(self._optimizers.untouched())

    def _uninstall(self) -> None:
        self._off = True
        with ExitStack() as each:  # one that fails keeps none of the others from being done
            each.callback(self._patches.undo)
            for hook in self._hooks:
                each.callback(hook.remove)
            each.callback(self._probe.close, sys._getframe(1))

    @property
    def on(self) -> bool:
        """Whether it is watching."""
        return not self._off

    def leave_child_alone(self) -> None:
        """See :class:`gradaudit.observe.forks.Watching`."""
        if not self._off:
            with self._care.inside("a forked child"):
                self._uninstall()

    # -- what was recorded, when it is over ----------------------------------------------------

    def number_of(self, tensor: torch.Tensor) -> int | None:
        """The leaf that a tensor is in the recording; None if nothing was ever seen of it."""
        leaf = self._watch.leaves.find(tensor)
        return leaf.number if leaf is not None and leaf.told else None

    @property
    def sites(self) -> SiteBook:
        """The places it has seen, and what stands there."""
        return self._sites

    # -- care ----------------------------------------------------------------------------------

    def _mine(self) -> bool:
        """Whether this thread is the one that trains; others are not followed."""
        if self._off:
            return False
        return self._thread == get_ident() or self._first_thread()

    def _first_thread(self) -> bool:
        if self._thread is not None:
            self._care.gap(
                "training in other threads", "only the thread that trained first is followed"
            )
            return False
        self._thread = get_ident()
        if not self._probe.mode.own_thread:
            self._care.gap("the dataflow", "the training runs in a thread other than the main one")
        return True

    def _arrive(self, frame: FrameType, what: str) -> Site | None:
        """Where something happens.

        Looked-at frames keep no value longer than the script does; behind the probe, once.
        """
        if not self._released:
            self._released = self._probe.over
            self._sites.release_locals(frame)
        site = self._sites.here(frame)
        if site is None:
            self._care.gap(what, "no line of the user's own code was on the stack")
        return site

    def _attended(self, over: int) -> int:
        self._probe.tracer.pause()
        try:
            return self._attend(self, over)
        finally:
            self._probe.tracer.go_on()

    # -- backward ------------------------------------------------------------------------------
    #
    # What runs in every iteration is written without context managers of ours and without calls
    # that could be spared: behind torch's kernels the caches are cold, and a call of an empty
    # Python function costs a microsecond there.

    def backward_enters(
        self, roots: Sequence[Any], frame: FrameType, *, accumulates: bool
    ) -> Callable[[Sequence[Any], bool], None] | None:
        """See :class:`gradaudit.observe.engine.BackwardListener`."""
        began = perf_counter()
        try:
            if self._thread != get_ident() and not self._mine():
                return None
            if self._under_way is not None or self._off:
                return None  # from inside a backward: part of it (reentrant checkpoints)
            site = self._arrive(frame, "a backward")
            if site is None:
                return None
            if not self._probe.over or site not in self.ledger.backwards:
                self._prepare_backward(frame, site, accumulates=accumulates)
            if not accumulates:
                self._differentiates(roots, site)
                return None
            key = ("backward", site)
            self._watch.point(key)
            if self._attendance.checking:
                self._attendance.check(key)
            under_way = self._backwards.begins(roots, frame, site, closure=self._closures > 0)
            self._attendance.backward()
        except Exception as error:
            self._care.failed("a backward", error)
            return None
        finally:
            self._care.seconds += perf_counter() - began
        if under_way.graph is not None:
            with self._care.inside("the values of gradients"), undispatched():
                self._probe.tracer.pause()
                self._backwards.hook(under_way)
                if self._sampler.pace.in_common:
                    # The work of an all-reduce keeps the function modes of now, and its thread
                    # needs the GIL to let go of them: while a process group is being destroyed
                    # nobody gives it that (gloo, torch 2.13).
                    under_way.paused = True
                    self._probe.pause()
        self._under_way = under_way
        return self._backward_leaves

    def _prepare_backward(self, frame: FrameType, site: Site, *, accumulates: bool) -> None:
        self._probe.arm(frame, outermost=True)
        if accumulates and site not in self.ledger.backwards:
            self._probe.surprised(frame)
            self._optimizers.refresh_all()  # where nothing is probed, nobody else has looked
        if self._watch.probing:
            self._sampler.pace.in_common = self._replicas.look()

    def _differentiates(self, roots: Sequence[Any], site: Site) -> None:
        if self._watch.probing:
            with undispatched():
                self._probe.backward_begins(
                    root for root in roots if isinstance(root, torch.Tensor)
                )
        self._watch.tell(ev.Differentiated(site))

    def _backward_leaves(self, roots: Sequence[Any], failed: bool) -> None:
        under_way, self._under_way = self._under_way, None
        if under_way is None:
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
        if under_way.graph is not None:
            if not failed:
                with self._care.inside("the values of gradients"), undispatched():
                    self._backwards.tell_causes(under_way)
            with self._care.inside("passes of loops"):
                self._probe.tracer.go_on()

    # -- optimizers ----------------------------------------------------------------------------

    def optimizer_built(self, optimizer: Optimizer, frame: FrameType) -> None:
        """See :class:`gradaudit.observe.optimizers.OptimizerListener`."""
        if not self._off:
            with self._care.inside("the construction of an optimizer"):
                self._probe.surprised(frame)
                known = self._optimizers.built(optimizer, frame)
                if known.site is not None and self._watch.probing:
                    self._watch.given(
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

    def step_enters(self, optimizer: Optimizer, frame: FrameType, *, closure: bool) -> None:
        """A step without closure applies what is there now; its own calls are not followed."""
        try:
            if self._off or (self._thread != get_ident() and not self._mine()):
                return
            if closure:
                self._closures += 1
                self._probe.mode.stepping = True
            else:
                self._step(optimizer, frame)
                if self._watch.surprised:
                    self._watch.surprised = False
                    self._probe.surprised(frame)
                if not self._probe.over:
                    self._probe.pause()
            attended = closure or not self._probe.over
            if attended is not self._steps.attended:
                self._steps.attend(attended)
        except Exception as error:
            self._care.failed("a step", error)

    def step_leaves(self, optimizer: Optimizer, frame: FrameType, *, closure: bool) -> None:
        """A step with a closure has applied what the closure's backwards left."""
        try:
            if self._off or (self._thread != get_ident() and not self._mine()):
                return
            if closure:
                self._closures = max(self._closures - 1, 0)
                self._probe.mode.stepping = self._closures > 0
                self._step(optimizer, frame)
            elif not self._probe.over:
                self._probe.go_on()
            self._tell_samples()
            if self._under_way is None:
                self._probe.safe_moment()
        except Exception as error:
            self._care.failed("a step", error)

    def _tell_samples(self) -> None:
        if self._sampler.waiting:
            with self._care.inside("the values of gradients"), undispatched():
                self._probe.tracer.pause()
                self._sampler.tell()
                self._at_rest()
                self._probe.tracer.go_on()

    def _step(self, optimizer: Optimizer, frame: FrameType) -> None:
        if self._sampler.waiting:
            self._tell_samples()
        began = perf_counter()
        try:
            site = self._arrive(frame, "a step")
            if site is None:
                return
            known = self._optimizers.find(optimizer)
            key = ("step", site, known.number)
            self._watch.point(key)
            if self._attendance.checking:
                self._attendance.check(key)
            if not self._probe.over:
                self._prepare_step(frame)
            grad_mode_off = None if torch.is_grad_enabled() else self._probe.switch(frame)
            self._watch.step(site, known.number, known.members, grad_mode_off)
            iteration = self.ledger.iteration
            if self._sampler.pace.due(iteration, probing=self._watch.probing):
                self._take_sample(known.members, iteration)
                if self._probe.over and self._watch.fed_unseen():
                    self._probe.surprised(frame)
        except Exception as error:
            self._care.failed("a step", error)
        finally:
            self._care.seconds += perf_counter() - began

    def _take_sample(self, members: Members, iteration: int) -> None:
        self._probe.tracer.pause()
        with undispatched():
            self._sampler.take(members, iteration)
            self._replicas.weigh(members, iteration)
        self._probe.tracer.go_on()

    def _prepare_step(self, frame: FrameType) -> None:
        self._probe.arm(frame)
        if self._watch.probing:
            with undispatched():
                self._book.look(frame)
                self._probe.tell_entered()
                self._probe.tell_losses_left()

    def zero_grad_enters(
        self, owner: Optimizer | torch.nn.Module, frame: FrameType, *, to_none: bool
    ) -> Callable[[], None] | None:
        """See :class:`gradaudit.observe.optimizers.OptimizerListener`."""
        began = perf_counter()
        try:
            if (self._thread != get_ident() and not self._mine()) or self._off:
                return None
            site = self._arrive(frame, "zero_grad")
            if site is None:
                return None
            if not self._probe.over:
                self._probe.arm(frame)
            targets = self._targets(owner)
            key = ("clear", site, targets)
            self._watch.point(key)
            if self._attendance.checking:
                self._attendance.check(key)
            held = self._watch.gradients.holding(targets)
            if to_none and not self._watch.probing:
                self._watch.zero_grad(site, targets, held, to_none=True)
                return None
            if not self._probe.over:
                self._probe.pause()
        except Exception as error:
            self._care.failed("zero_grad", error)
            return None
        finally:
            self._care.seconds += perf_counter() - began
        return lambda: self._zero_grad_leaves(site, targets, held, to_none=to_none)

    def _zero_grad_leaves(
        self, site: Site, targets: Members, held: Members, *, to_none: bool
    ) -> None:
        with self._care.inside("zero_grad"):
            self._watch.zero_grad(site, targets, held, to_none=to_none)
            if not self._probe.over:
                self._probe.go_on()
                if self._under_way is None:
                    self._probe.safe_moment()

    def _targets(self, owner: Optimizer | torch.nn.Module) -> Members:
        if isinstance(owner, Optimizer):
            return self._optimizers.find(owner).members
        return self._watch.parameters_of(owner)

    # -- scaling -------------------------------------------------------------------------------

    def scaled(self, outputs: object) -> None:
        """See :class:`gradaudit.observe.amp.ScalingListener`."""
        with self._care.inside("the scaling of a loss"):
            if self._mine():
                self._backwards.roots.note_scaled(tensors_of(outputs))

    def unscaled(self, optimizer: Optimizer, frame: FrameType) -> None:
        """See :class:`gradaudit.observe.amp.ScalingListener`."""
        with self._care.inside("the unscaling of gradients"), undispatched():
            site = self._sites.here(frame) if self._mine() else None
            if site is not None:
                known = self._optimizers.find(optimizer)
                self._watch.point(("unscale", site, known.number))
                self._watch.unscaled(site, known.members)

    # -- modules, frames, compilation ----------------------------------------------------------

    def _registered(
        self, module: torch.nn.Module, name: str, parameter: torch.Tensor, frame: FrameType
    ) -> None:
        if self._off:
            return
        with self._care.inside("the registration of a parameter"), undispatched():
            self._watch.registered()
            leaves = self._watch.leaves
            site = self._sites.here(frame)
            leaf = leaves.learn(parameter, site)
            if leaf.owner is None:
                leaf.owner, leaf.attribute = type(module).__name__, name
                leaf.module = weakref.ref(module)
                leaf.by_library = self._sites.through_library(frame)
                stack = self._sites.raw_stack(frame)
                leaf.made_under = tuple(map(self._sites.of, stack[1:]))
            for old, _ in replaced(module, name, parameter):
                leaves.replace(leaves.learn(old), leaf, site)

    def _nested(
        self, module: torch.nn.Module, name: str, child: torch.nn.Module | None, frame: FrameType
    ) -> None:
        if self._off:
            return
        with self._care.inside("the registration of a module"), undispatched():
            self._watch.registered()
            leaves = self._watch.leaves
            for old, new in replaced(module, name, child):
                heir = None if new is None else leaves.learn(new)
                leaves.replace(leaves.learn(old), heir, self._sites.here(frame))

    def _frame_returns(self, frame: FrameType) -> None:
        with self._care.inside("a name"), undispatched():
            self._book.frame_returns(frame)

    def _leave_alone_once(self) -> None:
        if not self._compiling:
            self._compiling = True
            leave_our_code_alone()
            if sys.version_info >= (3, 13):
                self._steps.hide_from_dynamo(self._patches)

    def _compile(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Under a function mode torch.compile captures other graphs (torch 2.13): stand aside."""
        recorder = self

        def compile(*args: Any, **kwargs: Any) -> Any:  # noqa: A001 - torch's own name
            if not recorder._off:
                with recorder._care.inside("the dataflow"):
                    recorder._probe.stand_aside(
                        "torch.compile is used, and compiled regions must not be disturbed"
                    )
            compiled = original(*args, **kwargs)
            if not recorder._off:
                with recorder._care.inside("torch.compile"):
                    recorder._leave_alone_once()
            return compiled

        compile.__dict__.update(vars(original))
        compile.__doc__ = original.__doc__
        return compile


def _main_file() -> str | None:
    """The file of the program under audit, when launch could not know it before it ran."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return path if isinstance(path, str) else None
