"""Findings that are proven are told while the script still runs, each of them once.

A look finds what the end of the run would find now, less all that later events could take back.
The first one is taken as soon as anything can be proven, further ones at iterations ever further
apart.  What they need of the rules is imported by the first, when nobody waits for the script's
first line any more, and all that it needs in turn is there since torch was imported: so nothing of
the interpreter is changed for it.  Where the script has put a module of its own in the place of one
that we need, nothing is told before the end.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING

from gradaudit.launch.surroundings import Surroundings
from gradaudit.model.findings import Finding, Severity
from gradaudit.model.run import TrainingStopped
from gradaudit.render.live import finding_line

if TYPE_CHECKING:
    from gradaudit.observe.recorder import Recorder
    from gradaudit.taming.tame import Decisions

#: After how many iterations the first look is taken: what is wrong in each of them has then been
#: seen several times, and in the first there may be nothing old yet to be wrong with.
_FIRST = 4

#: The share of the run's time, from the first look on, that further ones may take.
_BUDGET = 0.005

#: What stays the same of a finding in mid-run, when the names of its parameters may not.
_Key = tuple[str, object, object]


class Pace:
    """When to look: after twice as many iterations each time, if the budget has room for it."""

    def __init__(self) -> None:
        self.due = _FIRST
        self._began: float | None = None
        self._spent = self._dearest = 0.0

    def affords(self, iterations: int) -> bool:
        """Whether to look now; the next chance is then."""
        self.due = 2 * iterations
        if self._began is None:
            self._began = time.monotonic()
            return True
        elapsed = time.monotonic() - self._began
        return self._spent + self._dearest <= _BUDGET * elapsed

    def took(self, seconds: float) -> None:
        """A look has taken some time; the first one counts as part of the probe."""
        self._spent += seconds if self._dearest else 0.0
        self._dearest = max(self._dearest, seconds)


class Live:
    """Looks, says what is new, and stops the training at findings of the severities ``fatal``."""

    def __init__(
        self,
        surroundings: Surroundings,
        decisions: Decisions | None,
        say: Callable[[Sequence[str]], None] | None,
        fatal: Container[Severity],
    ) -> None:
        self._surroundings = surroundings
        self._decisions = decisions
        self._say = say
        self._fatal = fatal
        self._stopped_by: str | None = None
        self._pace = Pace()
        self._told: dict[_Key, Finding] = {}

    def attend(self, recorder: Recorder, iterations: int) -> int:
        """Look, if it is time to; answer after how many iterations it will be."""
        self._stop()  # once more, if the script has caught it and gone on
        pace = self._pace
        if iterations >= pace.due and pace.affords(iterations) and self._is_safe():
            self._look(recorder)
            self._stop()
        return pace.due

    def taken_back(self, findings: Iterable[Finding]) -> list[Finding]:
        """List what was told and is not among the findings at the end."""
        kept = set(map(_key, findings))
        return [finding for key, finding in self._told.items() if key not in kept]

    def _is_safe(self) -> bool:
        return not self._surroundings.impostors()

    def _look(self, recorder: Recorder) -> None:
        from gradaudit.launch.proofs import certain_findings

        began = time.perf_counter()
        cwd = self._surroundings.cwd
        found = certain_findings(recorder.so_far(), self._decisions, cwd)
        self._tell({key: each for each in found if (key := _key(each)) not in self._told})
        self._pace.took(time.perf_counter() - began)

    def _tell(self, fresh: dict[_Key, Finding]) -> None:
        self._told |= fresh
        if fresh and self._say is not None:
            self._say([*map(finding_line, fresh.values())])
        for finding in fresh.values():
            if finding.severity in self._fatal and self._stopped_by is None:
                self._stopped_by = f"--fail-fast at {finding.rule} {finding.name}"

    def _stop(self) -> None:
        if self._stopped_by is not None:
            raise TrainingStopped(self._stopped_by)


def _key(finding: Finding) -> _Key:
    where = finding.location
    if where is None:
        return finding.rule, None, finding.parameters
    return finding.rule, where.path, where.line
