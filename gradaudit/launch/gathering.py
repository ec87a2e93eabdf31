"""Where what several processes have seen comes together.

``Family``  this process and those that it starts: it ends last, and makes the report
``Ranks``   neighbours that a launcher has started: whoever ends last makes the report
"""

from __future__ import annotations

from typing import Protocol

from gradaudit.launch.checkpoints import unfinished
from gradaudit.launch.ending import Ending
from gradaudit.launch.local_world import LocalWorld
from gradaudit.launch.parts import Parts
from gradaudit.launch.reporter import Reporter
from gradaudit.model.report import Report


class Gathering(Protocol):
    """Brings what this process has seen together with what others have."""

    @property
    def parts(self) -> Parts:
        """Where the processes that this one starts leave their parts."""

    @property
    def prefix(self) -> str:
        """What the names of these parts begin with."""

    def save(self, report: Report) -> None:
        """Save what was seen until now, for the case that nothing later can be."""

    def conclude(self, report: Report | None, ending: Ending, *, trained: bool) -> int:
        """Publish all, or leave that to others; None was not recorded; the exit code of ours."""


def gathering(reporter: Reporter, world: LocalWorld | None) -> Gathering:
    """Find out with whom this process is to report."""
    return Family(reporter) if world is None else Ranks(reporter, world)


class Family:
    """A process, and the parts of those that it has started."""

    prefix = ""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.parts = Parts.of_this_process()

    def save(self, report: Report) -> None:
        """Write the file of the report."""
        self._reporter.save(unfinished(report))

    def conclude(self, report: Report | None, ending: Ending, *, trained: bool) -> int:
        """Publish it; this process is one of several only if it has trained as well."""
        parts = self.parts.collect()
        self.parts.remove()
        if not parts:
            return self._reporter.publish(report, ending)
        from gradaudit.rules.merge import merge

        frame = report or self._reporter.judge(None, ending)
        merged = merge([frame, *parts] if trained else parts, frame=frame.run)
        return self._reporter.publish(merged, ending)


class Ranks:
    """A rank and its neighbours on this machine."""

    def __init__(self, reporter: Reporter, world: LocalWorld) -> None:
        self._reporter = reporter
        self._world = world
        self.parts = world.parts
        self.prefix = f"{world.part}-"
        world.join()

    def save(self, report: Report) -> None:
        """Leave the part of now; the leader writes the file for all."""
        self.parts.hand_in(self._world.part, unfinished(report))
        merged = self._merged() if self._world.leads else None
        if merged is not None:
            self._reporter.save(merged)

    def conclude(self, report: Report | None, ending: Ending, *, trained: bool) -> int:
        """Leave the part, trained or not; the last rank publishes, the leader writes the file."""
        del trained
        if report is not None:
            self.parts.hand_in(self._world.part, report)
        with self._world.alone():
            last = self._world.is_last()
            self._world.leave()
            merged = self._merged() if last or self._world.leads else None
            if last:
                self.parts.remove()
                return self._reporter.publish(merged, ending)
            if merged is not None:
                self._reporter.save(merged)
        return 0

    def _merged(self) -> Report | None:
        from gradaudit.rules.merge import merge

        parts = self.parts.collect()
        return merge(parts) if parts else None
