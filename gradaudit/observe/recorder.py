"""The recorder: the one object launch holds while the script runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType

import torch

from gradaudit.ledger.ledger import Ledger
from gradaudit.ledger.recording import Recording
from gradaudit.model.run import Limits
from gradaudit.observe.attendance import Attendance
from gradaudit.observe.backwards import Backwards
from gradaudit.observe.book import Book
from gradaudit.observe.care import Care
from gradaudit.observe.compiled import compiled_already
from gradaudit.observe.doors.arrivals import Arrivals
from gradaudit.observe.doors.backward import BackwardDoor
from gradaudit.observe.doors.compiling import CompilingDoor
from gradaudit.observe.doors.registration import RegistrationDoor
from gradaudit.observe.doors.scaling import ScalingDoor
from gradaudit.observe.doors.stepping import SteppingDoor
from gradaudit.observe.forks import stay_out_of_children
from gradaudit.observe.groups import let_groups_end
from gradaudit.observe.instruments import Instruments
from gradaudit.observe.leaves import undispatched
from gradaudit.observe.optimizers import Optimizers
from gradaudit.observe.patches import Hook, Patches
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

    It makes the observers of the run, opens the ``doors`` to torch and closes them again.
    ``whole`` is False where it watches only a block of the program.
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
        self._watch = Watch(self.ledger)
        self._optimizers = Optimizers(self._watch, self._sites)
        self._book = Book(self._watch, self._optimizers, self._sites)
        self._probe = Probe(
            self._watch, self._sites, self._care.gap, self._care.failed, self._frame_returns
        )
        self._replicas = Replicas(self._watch.leaves)
        pace = Pace(limits.overhead, lambda: self._care.seconds)
        self._sampler = Sampler(self._watch.leaves, self._watch.tell, pace)
        self._attendance = Attendance(limits, self.ledger, self._attended)
        self._arrivals = Arrivals(self._care, self._sites, self._probe)
        self._patches = Patches()
        self._hooks: list[Hook] = []
        self._recording: Recording | None = None

    # -- the life of the recorder --------------------------------------------------------------

    def install(self) -> None:
        """Put every observer in place; called once, right after torch was imported."""
        self._arrivals.off = False
        try:
            self._observe()
        except BaseException:
            self._uninstall()
            raise

    def _observe(self) -> None:
        instruments = Instruments(
            self._care,
            self._sites,
            self.ledger,
            self._watch,
            self._optimizers,
            self._book,
            self._probe,
            Backwards(self._watch, self._sites, self._probe, self._optimizers, self._book),
            self._replicas,
            self._sampler,
            self._attendance,
        )
        arrivals = self._arrivals
        backward = BackwardDoor(instruments, arrivals)
        self._stepping = SteppingDoor(instruments, arrivals, backward, self._at_rest)
        self._hooks.append(self._replicas.watch())
        for door in (
            backward,
            self._stepping,
            ScalingDoor(instruments, arrivals),
            RegistrationDoor(instruments, arrivals),
            CompilingDoor(instruments, arrivals, self._stepping),
        ):
            self._hooks += door.observe(self._patches)
        let_groups_end(self._patches)
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
        if self._arrivals.off:
            return
        if self._stepping.compiled:
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
            self._probe.meant.tell_last_entered()
            if self.stopped:
                self._probe.meant.forgive()
            self._probe.meant.tell_left()
            self._sampler.tell(last=True)
            self._book.look(sys._getframe(1), last=self._whole)
            if not self._whole:
                self._book.owned_elsewhere(self._optimizers.untouched())

    def _uninstall(self) -> None:
        with ExitStack() as each:  # one that fails keeps none of the others from being done
            each.callback(self._patches.undo)
            for hook in self._hooks:
                each.callback(hook.remove)
            each.callback(self._probe.close, sys._getframe(1))
            each.callback(self._arrivals.end)  # done first

    @property
    def on(self) -> bool:
        """Whether it is watching."""
        return not self._arrivals.off

    def leave_child_alone(self) -> None:
        """See :class:`gradaudit.observe.forks.Watching`."""
        if not self._arrivals.off:
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

    # -- what others call ------------------------------------------------------------------------

    def _attended(self, over: int) -> int:
        with self._probe.tracer.paused():
            return self._attend(self, over)

    def _frame_returns(self, frame: FrameType) -> None:
        with self._care.inside("a name"), undispatched():
            self._book.frame_returns(frame)


def _main_file() -> str | None:
    """The file of the program under audit, when launch could not know it before it ran."""
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    return path if isinstance(path, str) else None
