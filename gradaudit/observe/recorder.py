"""The recorder: the one object launch holds while the script runs."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable, Hashable, Sequence
from contextlib import suppress
from time import monotonic, perf_counter
from types import FrameType
from typing import Any

import torch
from torch.optim import Optimizer
from torch.utils.hooks import RemovableHandle

from gradaudit.ledger.ledger import Ledger
from gradaudit.ledger.recording import Recording
from gradaudit.model import events as ev
from gradaudit.model.report import Gap
from gradaudit.model.run import Limits, TrainingStopped
from gradaudit.model.sites import Site
from gradaudit.observe.amp import tensors_of, watch_scaling
from gradaudit.observe.book import Book
from gradaudit.observe.causes import Backward
from gradaudit.observe.engine import watch_engine
from gradaudit.observe.graph import Below, below
from gradaudit.observe.leaves import connected
from gradaudit.observe.magnitude import undisturbed
from gradaudit.observe.modules import replaced, watch_registrations
from gradaudit.observe.optimizers import Optimizers, watch_optimizers
from gradaudit.observe.patches import Patches
from gradaudit.observe.probe import Probe
from gradaudit.observe.replicas import Replicas
from gradaudit.observe.roots import Roots
from gradaudit.observe.sampling import Sampler
from gradaudit.observe.sites import SiteBook, UserCode
from gradaudit.observe.source import SourceBook
from gradaudit.observe.watch import Watch

#: Modules that Python imports only to start a process.
_PROCESSES = frozenset({"multiprocessing.popen_fork", "multiprocessing.popen_spawn_posix"})


#: What the lives are made of: where the audit fails in one of them, they are not to be trusted.
_VITAL = frozenset({"a backward", "a step", "zero_grad", "the construction of an optimizer"})


class _Inside:
    """A stretch of the audit's own work; a generator would cost three times as much."""

    __slots__ = ("_began", "_recorder", "_what")

    def __init__(self, recorder: Recorder, what: str) -> None:
        self._recorder = recorder
        self._what = what

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> bool:
        self._recorder.worked(perf_counter() - self._began)
        if isinstance(error, Exception):  # TrainingStopped and KeyboardInterrupt are none
            self._recorder.failed(self._what, error)
            return True
        return False


class Recorder:
    """Watches one run; ``at_rest`` is called now and then, when nothing is under way.

    Every entry from torch comes through a method of this class: it keeps the audit's own clock,
    stays out of other threads and of forked children, and turns whatever breaks inside the audit
    into a gap of the report.
    """

    def __init__(
        self, limits: Limits, *, main_file: str | None, at_rest: Callable[[], None]
    ) -> None:
        self._limits = limits
        self._at_rest = at_rest
        self._sources = SourceBook()
        self._sites = SiteBook(UserCode(main_file or _main_file()), self._sources, os.getcwd())
        self.ledger = Ledger()
        self._watch = Watch(self.ledger, self._sites)
        self._optimizers = Optimizers(self._watch, self._sites)
        self._book = Book(self._watch, self._optimizers, self._sites)
        self._probe = Probe(self._watch, self._sites, self._gap, self._frame_returns)
        self._roots = Roots()
        self._replicas = Replicas(self._watch.leaves)
        self._sampler = Sampler(self._watch.leaves, self._watch.tell)
        self._patches = Patches()
        self._hooks: list[RemovableHandle] = []
        self._gaps: dict[str, str] = {}
        self._seconds = 0.0
        self._thread: int | None = None
        self._depth = 0
        self._began = monotonic()
        self._recording: Recording | None = None
        self._off = True
        self._released = False
        self._broken = False
        self._closures = 0
        #: whether a limit of the run has ended the training
        self.stopped = False

    # -- the life of the recorder --------------------------------------------------------------

    def install(self) -> None:
        """Put every observer in place; called once, right after torch was imported."""
        self._off = False
        watch_engine(self._patches, self)
        watch_scaling(self._patches, self)
        self._hooks += watch_optimizers(self._patches, self)
        self._hooks += watch_registrations(self._registered, self._nested)
        self._hooks.append(self._replicas.watch())
        self._patches.replace(torch, "compile", self._compile(torch.compile))
        os.register_at_fork(after_in_child=self._leave_child_alone)
        self._probe.begin()

    def finish(self) -> Recording:
        """Take every observer away again and hand over what was seen.  Idempotent."""
        if self._recording is None:
            with self._inside("the end of the run"):
                self._last_look()
            self._uninstall()
            self.ledger.close()
            self._recording = self.so_far()
        return self._recording

    def so_far(self) -> Recording:
        """Hand over what was seen until now; the iteration under way is not closed."""
        return self._book.recording(
            probe=self._probe,
            gaps=tuple(Gap(what, why) for what, why in self._gaps.items()),
            audit_seconds=self._seconds + self._probe.seconds,
            broken=self._broken,
            replicas=self._replicas,
        )

    @property
    def trained(self) -> bool:
        """Whether anything was seen that trains."""
        return bool(self.ledger.backward_calls or self.ledger.optimizer_steps)

    def _last_look(self) -> None:
        if self._off:
            return
        if not self.ledger.backward_calls and _PROCESSES & sys.modules.keys():
            self._gap(
                "training in other processes",
                "of those that multiprocessing starts none was seen to train, and others, its "
                "pools among them, are not followed",
            )
        with torch._C.DisableTorchFunction():
            self._optimizers.refresh_all()
            self._watch.point(("end",))
            self._probe.tell_entered()
            self._probe.tell_losses_left()
            self._sampler.tell(last=True)
            self._book.look(sys._getframe(1), last=True)

    def _uninstall(self) -> None:
        self._off = True
        self._probe.close(sys._getframe(1))
        for hook in self._hooks:
            hook.remove()
        self._patches.undo()

    def _leave_child_alone(self) -> None:
        """A forked child (a DataLoader's worker, say) is not audited and pays nothing for it."""
        if not self._off:
            self._uninstall()

    # -- care ----------------------------------------------------------------------------------

    def _gap(self, what: str, why: str) -> None:
        self._gaps.setdefault(what, why)

    def _inside(self, what: str) -> _Inside:
        """The audit at work: its time is counted, its failures become gaps."""
        return _Inside(self, what)

    def worked(self, seconds: float) -> None:
        """The audit took some time."""
        self._seconds += seconds

    def failed(self, what: str, error: Exception) -> None:
        """Something of the audit's own broke: say so once, record it, let the training go on."""
        if what not in self._gaps:
            _say(
                f"gradaudit: the audit failed in {what} ({type(error).__name__}: {error}); "
                "the training goes on\n"
            )
        self._gap(what, f"the audit failed inside: {type(error).__name__}: {error}")
        self._broken = self._broken or what in _VITAL

    def _mine(self) -> bool:
        """Whether this thread is the one that trains; others are not followed."""
        if self._off:
            return False
        current = threading.get_ident()
        if self._thread is None:
            self._thread = current
            if not self._probe.mode.own_thread:
                self._gap("the dataflow", "the training runs in a thread other than the main one")
        elif self._thread != current:
            self._gap("training in other threads", "only the thread that trained first is followed")
            return False
        return True

    def _release(self, frame: FrameType) -> None:
        """Looked-at frames keep no value longer than the script does; behind the probe, once."""
        if not self._released:
            self._released = self._probe.over
            self._sites.release_locals(frame)

    def _check_limits(self, key: Hashable) -> None:
        """Stop where a new iteration would begin beyond the limit."""
        limits = self._limits
        if limits.max_seconds is not None and monotonic() - self._began > limits.max_seconds:
            self.stopped = True
            raise TrainingStopped(f"--max-seconds {limits.max_seconds:g} reached")
        if (
            limits.max_iterations is not None
            and self.ledger.iterations >= limits.max_iterations
            and self.ledger.would_begin_iteration(key)
        ):
            self.stopped = True
            raise TrainingStopped(f"--max-iterations {limits.max_iterations} reached")

    # -- backward ------------------------------------------------------------------------------

    def backward_enters(
        self, roots: Sequence[Any], frame: FrameType, *, accumulates: bool
    ) -> Callable[[bool], None] | None:
        """See :class:`gradaudit.observe.engine.BackwardListener`."""
        if not self._mine():
            return None
        self._release(frame)
        if self._depth:
            return None  # from inside a backward: part of it (reentrant checkpoints)
        site = self._sites.here(frame)
        if site is None:
            self._gap("a backward", "no line of the user's own code was on the stack")
            return None
        finish: Callable[[bool], None] | None = None
        self._probe.arm(frame, outermost=True)
        if accumulates and site not in self.ledger.backwards:
            self._probe.surprised(frame)
        with self._inside("a backward"), torch._C.DisableTorchFunction():
            if accumulates:
                self._watch.point(("backward", site))
                self._check_limits(("backward", site))
                finish = self._begin_backward(roots, frame, site)
            else:
                if self._watch.probing:
                    self._probe.backward_begins(
                        root for root in roots if isinstance(root, torch.Tensor)
                    )
                self._watch.tell(ev.Differentiated(site))
        return finish

    def _begin_backward(
        self, roots: Sequence[Any], frame: FrameType, site: Site
    ) -> Callable[[bool], None]:
        tensors = [root for root in roots if isinstance(root, torch.Tensor)]
        probing = self._watch.probing
        meant = None
        watched = None
        if probing:
            graph = below(tensors)
            for leaf in graph.tensors():
                self._watch.follow(leaf)
            self._optimizers.refresh_all()
            self._sampler.pace.in_common = self._replicas.look()
            self._book.look(frame)
            meant = self._probe.backward_begins(tensors)
        grad_mode_off = None if torch.is_grad_enabled() else self._probe.switch(frame)
        root = self._sites.root_text(frame) if probing else None
        hopeless = not any(map(connected, tensors))
        made = self._watch.origin(tensors[0])[0] if tensors and hopeless else None
        scaled, again = self._roots.scaled(tensors), self._roots.again(tensors, site)
        if probing:
            self._probe.tracer.pause()
            watched = self._hook(tensors, graph)
        self._watch.backward_begins()
        self._depth += 1

        def finish(failed: bool) -> None:
            self._depth -= 1
            if watched is not None:
                self._unhook(watched)
            with self._inside("a backward"), torch._C.DisableTorchFunction():
                deposited = self._watch.backward_ends(
                    site,
                    root,
                    failed=failed,
                    grad_mode_off=grad_mode_off,
                    hopeless=hopeless,
                    made=made,
                    scaled=scaled,
                    again=again,
                    closure=self._closures > 0,
                )
                if meant is not None:
                    self._probe.backward_ends(site, meant, deposited)
                self._probe.consider_ending()
            if watched is not None and not failed:
                self._tell_causes(watched, site)
            self._probe.tracer.go_on()

        return finish

    def _hook(self, roots: Sequence[torch.Tensor], graph: Below) -> Backward | None:
        """Watch what the operations do to the values of gradients, unless that would disturb."""
        if not self._probe.following or not undisturbed():
            return None
        with self._inside("the values of gradients"):
            numbers = {node: self._watch.follow(leaf) for node, leaf in graph.leaves.items()}
            return self._probe.causes.begins(roots, graph, numbers)
        return None

    def _unhook(self, watched: Backward) -> None:
        with self._inside("the values of gradients"):
            watched.measured.unhook()
            self.worked(watched.measured.seconds)

    def _tell_causes(self, watched: Backward, site: Site) -> None:
        with self._inside("the values of gradients"), torch._C.DisableTorchFunction():
            for event in self._probe.causes.ends(watched, site):
                self._watch.tell(event)

    # -- optimizers ----------------------------------------------------------------------------

    def optimizer_built(self, optimizer: Optimizer, frame: FrameType) -> None:
        """See :class:`gradaudit.observe.optimizers.OptimizerListener`."""
        if not self._off:
            self._probe.surprised(frame)
            with self._inside("the construction of an optimizer"):
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
        if not self._mine():
            return
        self._release(frame)
        if closure:
            self._closures += 1
        else:
            self._step(optimizer, frame)
            if self._watch.surprised:
                self._watch.surprised = False
                self._probe.surprised(frame)
            self._probe.pause()

    def step_leaves(self, optimizer: Optimizer, frame: FrameType, *, closure: bool) -> None:
        """A step with a closure has applied what the closure's backwards left."""
        if not self._mine():
            return
        if closure:
            self._closures = max(self._closures - 1, 0)
            self._step(optimizer, frame)
        else:
            self._probe.go_on()
        if self._sampler.waiting:
            with self._inside("the values of gradients"), torch._C.DisableTorchFunction():
                self._probe.tracer.pause()
                self._sampler.tell()
                self._at_rest()
                self._probe.tracer.go_on()
        if not self._depth:
            self._probe.safe_moment()

    def _step(self, optimizer: Optimizer, frame: FrameType) -> None:
        site = self._sites.here(frame)
        if site is None:
            self._gap("a step", "no line of the user's own code was on the stack")
            return
        self._probe.arm(frame)
        with self._inside("a step"), torch._C.DisableTorchFunction():
            known = self._optimizers.find(optimizer, frame)
            self._watch.point(("step", site, known.number))
            self._check_limits(("step", site, known.number))
            if self._watch.probing:
                self._book.look(frame)
                self._probe.tell_entered()
                self._probe.tell_losses_left()
            grad_mode_off = None if torch.is_grad_enabled() else self._probe.switch(frame)
            self._watch.step(site, known.number, known.members, grad_mode_off)
            iteration = self.ledger.cycle.index
            if self._sampler.pace.due(iteration, probing=self._watch.probing):
                self._probe.tracer.pause()
                self._sampler.take(known.members, iteration)
                self._replicas.weigh(known.members, iteration)
                self._probe.tracer.go_on()

    def zero_grad_enters(
        self, owner: Optimizer | torch.nn.Module, frame: FrameType, *, to_none: bool
    ) -> Callable[[], None] | None:
        """See :class:`gradaudit.observe.optimizers.OptimizerListener`."""
        if not self._mine():
            return None
        self._release(frame)
        site = self._sites.here(frame)
        if site is None:
            return None
        self._probe.arm(frame)
        with self._inside("zero_grad"), torch._C.DisableTorchFunction():
            if isinstance(owner, Optimizer):
                targets = self._optimizers.find(owner, frame).members
            else:
                targets = self._watch.leaves.members(
                    self._watch.follow(parameter) for parameter in owner.parameters()
                )
            self._watch.point(("clear", site, targets))
            self._check_limits(("clear", site, targets))
            held = self._watch.gradients.holding(targets)
            self._probe.pause()

            def done() -> None:
                self._probe.go_on()
                with self._inside("zero_grad"), torch._C.DisableTorchFunction():
                    self._watch.zero_grad_ends(site, targets, held, to_none=to_none)
                if not self._depth:
                    self._probe.safe_moment()

            return done
        return None

    # -- scaling -------------------------------------------------------------------------------

    def scaled(self, outputs: object) -> None:
        """See :class:`gradaudit.observe.amp.ScalingListener`."""
        if self._mine():
            with self._inside("the scaling of a loss"):
                self._roots.note_scaled(tensors_of(outputs))

    def unscaled(self, optimizer: Optimizer, frame: FrameType) -> None:
        """See :class:`gradaudit.observe.amp.ScalingListener`."""
        site = self._sites.here(frame) if self._mine() else None
        if site is not None:
            with self._inside("the unscaling of gradients"), torch._C.DisableTorchFunction():
                known = self._optimizers.find(optimizer, frame)
                self._watch.point(("unscale", site, known.number))
                self._watch.unscaled(site, known.members)

    # -- modules, frames, compilation ----------------------------------------------------------

    def _registered(
        self, module: torch.nn.Module, name: str, parameter: torch.Tensor, frame: FrameType
    ) -> None:
        if self._off:
            return
        with self._inside("the registration of a parameter"), torch._C.DisableTorchFunction():
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
                before = leaves.find(old)
                if before is not None:
                    leaves.replace(before, leaf, site)

    def _nested(
        self, module: torch.nn.Module, name: str, child: torch.nn.Module | None, frame: FrameType
    ) -> None:
        if self._off:
            return
        with self._inside("the registration of a module"), torch._C.DisableTorchFunction():
            leaves = self._watch.leaves
            for old, new in replaced(module, name, child):
                before = leaves.find(old)
                if before is not None:
                    heir = None if new is None else leaves.find(new)
                    leaves.replace(before, heir, self._sites.here(frame))

    def _frame_returns(self, frame: FrameType) -> None:
        with self._inside("a name"), torch._C.DisableTorchFunction():
            self._book.frame_returns(frame)

    def _compile(self, original: Callable[..., Any]) -> Callable[..., Any]:
        """Under a function mode torch.compile captures other graphs (torch 2.13): stand aside."""
        recorder = self

        def compile(*args: Any, **kwargs: Any) -> Any:  # noqa: A001 - torch's own name
            if not recorder._off:
                recorder._probe.stand_aside(
                    "torch.compile is used, and compiled regions must not be disturbed"
                )
            return original(*args, **kwargs)

        compile.__dict__.update(vars(original))
        compile.__doc__ = original.__doc__
        return compile


def _say(text: str) -> None:
    """Tell the user once, unless the script has closed what could be written to."""
    if sys.__stderr__ is not None:
        with suppress(OSError, ValueError):
            sys.__stderr__.write(text)


def _main_file() -> str | None:
    """The file of the program under audit, when launch could not know it before it ran."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return path if isinstance(path, str) else None
