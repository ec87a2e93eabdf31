"""The probe: the function mode and the tracer, from the first torch call to a few iterations on.

Something unheard of re-opens it: a backward from a new place, a new optimizer, a parameter that is
newly without gradient.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Any

import torch

from gradaudit.model.sites import Site
from gradaudit.observe.causes import Causes
from gradaudit.observe.dataflow import Dataflow
from gradaudit.observe.forward import Forward
from gradaudit.observe.function_mode import CallMode
from gradaudit.observe.fused import let_fused_paths_be, may_fuse
from gradaudit.observe.grad_mode import enclosing_switch, written_switch
from gradaudit.observe.groups import send_no_mode
from gradaudit.observe.handiwork import Handiwork
from gradaudit.observe.meant import Meant
from gradaudit.observe.module_hooks import takes_one, watch_module_hooks
from gradaudit.observe.nodes import Nodes
from gradaudit.observe.operations import Operation
from gradaudit.observe.patches import Patches
from gradaudit.observe.sites import SiteBook
from gradaudit.observe.tracer import LoopTracer
from gradaudit.observe.tracing import let_tracers_be
from gradaudit.observe.unseen import watch_unseen
from gradaudit.observe.watch import Watch

#: How many iterations are probed, and how long a cheap script is probed beyond them (seconds of
#: the audit's own time): a script of a few milliseconds is seen to its end.
PROBE_ITERATIONS = 3
PROBE_SECONDS = 0.25

#: How often surprises may re-open the probe, and for how many iterations.
REOPENINGS = 4
REOPENED_ITERATIONS = 2

#: How many torch calls in a row are followed while nothing is trained: data preparation, a long
#: evaluation.  Beyond them mode and tracer rest until training goes on.
IDLE_CALLS = 15_000


class Probe:
    """Everything that is only there for a while."""

    def __init__(
        self,
        watch: Watch,
        sites: SiteBook,
        gap: Callable[[str, str], None],
        failed: Callable[[str, Exception], None],
        leaving: Callable[[FrameType], None],
    ) -> None:
        self._watch = watch
        self._sites = sites
        self.gap = gap
        self._failed = failed
        self._patches = Patches()
        nodes = Nodes(sites, watch.leaves)
        self.handiwork = Handiwork(watch, nodes, sites)
        self.dataflow = Dataflow(sites, watch.leaves, nodes, self.handiwork)
        self.meant = Meant(watch, nodes, sites)
        watch.made_at = lambda tensor: self.handiwork.origin(tensor)[0]
        self.causes = Causes(
            nodes.lines,
            self.dataflow.hooks,
            sites,
            watch.leaves.told,
            Forward(nodes, watch.leaves),
        )
        self.tracer = LoopTracer(sites, self.safe_moment, leaving, failed)
        self.mode = CallMode(self.dataflow, self._fault, self._followed, self.tracer)
        self.iterations = 0
        self.over = False
        self._armed = False
        self._ending = False
        self._resting = False
        self._trained_at = 0
        self._pauses = 0
        self._left = False
        self._untraced = False
        self._until: int | None = None
        self._reopenings = 0
        self._began_at = 0
        #: the number that the next leaf had when it ended: from there on their use is not seen
        self.horizon = sys.maxsize
        #: in how many files a switch was looked for that nobody saw, and the one that was found
        self._searched = 0
        self._switch: Site | None = None

    # -- life ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Torch has just been imported: follow every call from now on."""
        self.mode.enter()
        self._watch.probing = True
        self._patch()

    def _patch(self) -> None:
        watch_unseen(self._patches, self)
        watch_module_hooks(self._patches, self)
        let_fused_paths_be(self._patches, self)
        let_tracers_be(self._patches, self.pause, self.go_on)
        send_no_mode(self._patches, self.pause, self.go_on)

    def arm(self, frame: FrameType, *, outermost: bool = False) -> None:
        """Training begins, or goes on: count the passes of loops from now on.

        ``outermost`` is for what never happens while a pause is meant.
        """
        if self.over or not self.mode.own_thread:
            return
        self._trained_at = self.dataflow.calls
        self.dataflow.nodes.trained()
        if outermost:  # if something paused for is over, and nobody said so, it has raised
            self._pauses = 0
            self._return()
            self.tracer.go_on()
        if self._resting:
            self._resting = False
            self.mode.enter()
            self._watch.probing = True
        elif self._armed:
            return
        self._armed = True
        if not self.tracer.start(frame):
            self.gap("passes of loops", "another tracer owns sys.settrace; they were not counted")

    def pause(self) -> None:
        """Torch's own code is about to run at length, and everything about it is known."""
        if self.over or not self.mode.own_thread:
            return
        self._pauses += 1
        self._untraced = self.tracer.pause() or self._untraced
        if self.mode.entered:
            self._left = True
            self.mode.leave()

    def go_on(self) -> None:
        """It has run."""
        if self.over or not self.mode.own_thread:
            return
        self._pauses = max(self._pauses - 1, 0)
        if not self._pauses:
            self._return()

    def _return(self) -> None:
        if self._untraced:
            self._untraced = False
            self.tracer.go_on()
        if self._left:
            self._left = False
            self.mode.enter()

    def _followed(self, frame: FrameType) -> None:
        """One more call was followed: a rest, if nothing has been trained for long."""
        if self.dataflow.calls - self._trained_at < IDLE_CALLS or self._ending or self._resting:
            return
        self._resting = True
        if not self.tracer.on and not self.tracer.start(frame):  # for the sake of a safe moment
            self.mode.listening = False
            self.gap(
                "the dataflow",
                "another tracer owns sys.settrace, so a long stretch "
                "without training could only be passed over for good",
            )

    def _rest(self, frame: FrameType) -> None:
        self.tracer.stop(frame)
        self.mode.leave()
        self._watch.probing = False

    def consider_ending(self) -> None:
        """An iteration may be over: end the probe if enough was seen."""
        if self.over or self._ending:
            return
        seen = self._watch.ledger.iterations
        if self._until is not None:
            self._ending = seen > self._until
        else:
            self._ending = seen > PROBE_ITERATIONS and self.seconds > PROBE_SECONDS

    def surprised(self, frame: FrameType) -> None:
        """Something unheard of happened: follow every call again, for a while."""
        if not self.over or self._reopenings >= REOPENINGS or not self.mode.own_thread:
            return
        self._reopenings += 1
        self._began_at = self._watch.ledger.iterations
        self._until = self._began_at + REOPENED_ITERATIONS
        self.horizon = sys.maxsize
        self.over = self._ending = self._armed = self._resting = False
        self._pauses = 0
        self._watch.deeds.take()  # what was done when the probe ended is long over
        self._patch()
        self.mode.enter()
        self.mode.listening = self._watch.probing = True
        self.arm(frame)

    def close(self, frame: FrameType | None) -> None:
        """The run is over: end the probe for good.  Idempotent."""
        self._reopenings = REOPENINGS
        self.end(frame)

    def safe_moment(self) -> None:
        """No call into torch is under way in this thread, so the mode may be taken off."""
        if self.over:
            return
        self.consider_ending()
        if not self.mode.own_thread:
            return
        if self._ending:
            self.end(sys._getframe(1))
        elif self._resting and self.tracer.on:
            self._rest(sys._getframe(1))

    def end(self, frame: FrameType | None) -> None:
        """Take tracer and mode away, and drop what they gathered.  Idempotent."""
        if self.over:
            return
        self.over = True
        self.horizon = self._watch.leaves.next_number
        self._watch.probing = self._left = self._untraced = self.mode.listening = False
        with ExitStack() as each:  # one that fails keeps none of the others from being done
            each.callback(self.dataflow.nodes.forget)
            each.callback(self.dataflow.hooks.forget)
            each.callback(self.meant.tell_entered)
            each.callback(self._patches.undo)
            each.callback(self._leave_for_good)
            each.callback(self.tracer.stop, frame)
        self.iterations += self._watch.ledger.iterations - self._began_at

    def _leave_for_good(self) -> None:
        if self.mode.own_thread:
            self.mode.leave()

    def stand_aside(self, why: str) -> None:
        """Something runs that a mode or tracer would disturb: no probe from here on."""
        self._reopenings = REOPENINGS
        if not self.over:
            self._ending = True
            self.mode.listening = False
            self.gap("the dataflow", why)
            self.safe_moment()

    def switch(self, frame: FrameType | None) -> Site | None:
        """Where grad mode was switched off, while it is off."""
        return self.dataflow.nodes.switch or enclosing_switch(frame, self._sites) or self._written()

    def _written(self) -> Site | None:
        files = len(self._sites.user_files())
        if files != self._searched:
            self._searched, self._switch = files, written_switch(self._sites)
        return self._switch

    @property
    def seconds(self) -> float:
        """What the probe has cost until now."""
        return self.mode.seconds + self.tracer.seconds

    def _fault(self, what: str, error: Exception) -> None:
        """What it tells is not to be trusted any more: it is taken off at the next safe moment."""
        self._watch.probing = self.mode.listening = False
        self._ending = True
        self._reopenings = REOPENINGS
        self._failed(what, error)

    # -- what no function mode sees ----------------------------------------------------------------

    @property
    def following(self) -> bool:
        """Whether what happens in this thread right now is part of the dataflow."""
        mode = self.mode
        return not self.over and mode.listening and not self._pauses and mode.own_thread

    def applied(self, name: str, args: tuple[Any, ...], result: object, frame: FrameType) -> None:
        """A function was applied of which nothing is seen: one operation, whatever is in it."""
        with self._guarded("custom autograd functions"), torch._C.DisableTorchFunction():
            if self.following:
                self.dataflow.applied(name, args, result, frame)

    def made(
        self, operation: Operation, source: torch.Tensor, result: torch.Tensor, frame: FrameType
    ) -> None:
        """See :class:`gradaudit.observe.unseen.UnseenListener`."""
        with self._guarded("tensors made from others"), torch._C.DisableTorchFunction():
            if self.following:
                self.dataflow.made(operation, source, result, frame)

    def hooked(self, node: Any, hooks: Sequence[Any]) -> None:
        """See :class:`gradaudit.observe.module_hooks.HookListener`."""
        with self._guarded("hooks of modules"):
            if self.following and takes_one(node):
                self.dataflow.hooks.note_behind(node, hooks)

    def stands_aside(self, module: torch.nn.Module) -> bool:
        """See :class:`gradaudit.observe.fused.FusedListener`."""
        with self._guarded("fused modules"), torch._C.DisableTorchFunction():
            if may_fuse(module) and self.mode.own_thread and self.mode.entered:
                self.mode.leave()
                return True
        return False

    def comes_back(self) -> None:
        """See :class:`gradaudit.observe.fused.FusedListener`."""
        with self._guarded("fused modules"):
            self.mode.enter()

    def made_by(
        self, module: torch.nn.Module, args: tuple[Any, ...], result: object, frame: FrameType
    ) -> None:
        """A fused module counts as one operation, on its parameters among others."""
        with self._guarded("fused modules"), torch._C.DisableTorchFunction():
            if self.following:
                inputs = (*args, *module.parameters())
                self.dataflow.applied(type(module).__name__, inputs, result, frame)

    @contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        """Whatever breaks in here becomes a gap."""
        try:
            yield
        except Exception as error:
            self._fault(what, error)
